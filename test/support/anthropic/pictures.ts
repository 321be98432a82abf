import { imagesOf, type MessagesBody } from './body.ts';
import { type Size, sizeOf } from './images.ts';
import { pictureLimits } from './models.ts';
import { invalid, type Refusal } from './refusal.ts';

/** Above this number of pictures in a request each of them must be small. Source: platform.claude.com, vision. */
const MANY = 20;
const SIDE_OF_MANY = 2000;
const MOST_BYTES = 5 * 1024 * 1024;

interface Shown {
  readonly path: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly size: Size | undefined;
}

export function checkPictureBytes(body: MessagesBody): Refusal | undefined {
  const bad = shown(body).find(({ size, mediaType }) => size?.mediaType !== mediaType);
  if (bad) return invalid(`${bad.path}.source.base64: Could not process image`);
  const heavy = shown(body).find(({ bytes }) => bytes.length > MOST_BYTES);
  return heavy && invalid(`${heavy.path}.source.base64: image exceeds 5 MB maximum`);
}

/** A toolset's pictures are never scaled by the service: too large is an error. */
export function checkPictureSize(body: MessagesBody): Refusal | undefined {
  const limits = pictureLimits(body.model);
  const large = shown(body).find(({ size }) => size && (sideOf(size) > limits.side || tokensOf(size) > limits.tokens));
  return large && tooLarge(limits.side, [large.path]);
}

export function checkManyPictures(body: MessagesBody): Refusal | undefined {
  const pictures = shown(body);
  if (pictures.length <= MANY) return undefined;
  const large = pictures.filter(({ size }) => size && sideOf(size) > SIDE_OF_MANY);
  return large.length > 0
    ? tooLarge(
        SIDE_OF_MANY,
        large.map(({ path }) => path),
      )
    : undefined;
}

function shown(body: MessagesBody): readonly Shown[] {
  return imagesOf(body).map(({ path, image }) => {
    const bytes = Buffer.from(image.source.data, 'base64');
    return { path, mediaType: image.source.media_type, bytes, size: sizeOf(bytes) };
  });
}

function sideOf({ width, height }: Size): number {
  return Math.max(width, height);
}

function tokensOf({ width, height }: Size): number {
  return Math.ceil(width / 28) * Math.ceil(height / 28);
}

function tooLarge(side: number, paths: readonly string[]): Refusal {
  return invalid(`${paths[0]}: image dimensions exceed max allowed size: ${side} pixels`, {
    error_code: 'image_dimensions_too_large',
    max_side_length_pixels: side,
    paths,
  });
}
