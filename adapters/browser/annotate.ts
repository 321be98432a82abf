import type { Page, Browser as PlaywrightBrowser } from 'playwright';
import type { Box, Picture } from '../../core/ports/browser.ts';
import { clipped, outward, padded } from './boxes.ts';
import { draw } from './drawing.ts';
import { within } from './errors.ts';
import type { ProxySettings } from './launch.ts';
import { MASK_PADDING } from './masking.ts';

export const VIEWPORT = { width: 1280, height: 800 } as const;

/** Heights of the bars that are added above and below the page, in pixels; large enough to read in a chat's preview. */
const ADDRESS_BAR = 40;
const CAPTION_BAR = 60;
const DRAW_LIMIT_MS = 10_000;

export interface Annotation {
  /** Host and path, as the address bar shows them. */
  readonly address: string;
  readonly highlight?: Box;
  readonly caption: { readonly number: number; readonly sentence: string; readonly detail: string };
}

/** A blank page of our own, which nothing can load anything into: pictures are drawn here. */
export interface Studio {
  /** Blackens `masks` of a picture of the viewport, then adds frame, address and caption; without an annotation, none of these. */
  finish(png: Buffer, masks: readonly Box[], annotation: Annotation | undefined): Promise<Picture>;
}

export type PictureType = 'image/jpeg' | 'image/png';

/** Opens the page ahead, and once more when it was lost. */
export function openStudio(browser: PlaywrightBrowser, proxy: ProxySettings, mediaType: PictureType): Studio {
  let page = blankPage(browser, proxy);
  page.catch(() => undefined); // told to whoever asks for a picture
  return {
    async finish(png, masks, annotation) {
      try {
        return await finish(await page, mediaType, png, masks, annotation);
      } catch (error) {
        if (!browser.isConnected()) throw error;
        page = blankPage(browser, proxy);
        return await finish(await page, mediaType, png, masks, annotation);
      }
    },
  };
}

async function blankPage(browser: PlaywrightBrowser, proxy: ProxySettings): Promise<Page> {
  const context = await browser.newContext({ proxy, serviceWorkers: 'block', acceptDownloads: false, permissions: [] });
  return context.newPage();
}

async function finish(
  page: Page,
  mediaType: PictureType,
  png: Buffer,
  masks: readonly Box[],
  annotation: Annotation | undefined,
): Promise<Picture> {
  const [above, below] = annotation ? [ADDRESS_BAR, CAPTION_BAR] : [0, 0];
  const shifted = withoutRepeats(masks.flatMap((mask) => onPicture(padded(mask, MASK_PADDING), above)));
  const highlight = annotation?.highlight && { ...annotation.highlight, y: annotation.highlight.y + above };
  const base64 = await within(
    DRAW_LIMIT_MS,
    'Drawing a picture',
    page.evaluate(draw, {
      png: png.toString('base64'),
      mediaType,
      page: { x: 0, y: above, ...VIEWPORT },
      captionHeight: below,
      masks: shifted,
      highlight: highlight ?? null,
      bars: annotation ? { address: annotation.address, caption: annotation.caption } : null,
    }),
  );
  return {
    bytes: Buffer.from(base64, 'base64'),
    mediaType,
    width: VIEWPORT.width,
    height: above + VIEWPORT.height + below,
    masks: shifted,
  };
}

/** A mask in pixels of the finished picture; none when it lies outside of the page. */
function onPicture(box: Box, above: number): Box[] {
  const inside = clipped(outward(box), { x: 0, y: 0, ...VIEWPORT });
  return inside ? [{ ...inside, y: inside.y + above }] : [];
}

/** The two looks at a page mostly find the same boxes. */
function withoutRepeats(boxes: readonly Box[]): Box[] {
  return [...new Map(boxes.map((box) => [JSON.stringify(box), box])).values()];
}
