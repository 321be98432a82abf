import type { Browser } from 'playwright';
import { PNG } from 'pngjs';
import type { Box } from '../../core/ports/browser.ts';

/** A decoded picture: four bytes a pixel. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Buffer;
}

/** Decodes a picture of any type, by the browser. */
export async function decode(browser: Browser, bytes: Buffer, mediaType: string): Promise<Pixels> {
  const page = await browser.newPage();
  try {
    await page.setContent(
      `<body style="margin: 0"><img style="display: block" src="data:${mediaType};base64,${bytes.toString('base64')}">`,
    );
    return PNG.sync.read(await page.screenshot({ fullPage: true }));
  } finally {
    await page.close();
  }
}

/** Masks are #333333; JPEG at quality 75 moves a colour by a few steps, near an edge by more. */
const MASK_GREY = 0x33;
const TOLERANCE = 24;

/** Whether the whole box is of the colour of masks. */
export function isMasked(pixels: Pixels, box: Box): boolean {
  const [left, top] = [Math.floor(box.x), Math.floor(box.y)];
  const [right, bottom] = [Math.ceil(box.x + box.width), Math.ceil(box.y + box.height)];
  if (left < 0 || top < 0 || right > pixels.width || bottom > pixels.height) return false;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const at = (y * pixels.width + x) * 4;
      const isGrey = pixels.data.subarray(at, at + 3).every((value) => Math.abs(value - MASK_GREY) <= TOLERANCE);
      if (!isGrey) return false;
    }
  }
  return true;
}

/** How far the page of the picture is scrolled when all boxes are masked in it; `undefined` when they are not. */
export function maskedAt(pixels: Pixels, boxes: readonly Box[]): number | undefined {
  for (let dy = -pixels.height; dy <= pixels.height; dy++) {
    if (boxes.every((box) => isMasked(pixels, { ...box, y: box.y + dy }))) return dy;
  }
  return undefined;
}
