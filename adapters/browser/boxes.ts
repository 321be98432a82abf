import type { Box } from '../../core/ports/browser.ts';

export function padded({ x, y, width, height }: Box, by: number): Box {
  return { x: x - by, y: y - by, width: width + 2 * by, height: height + 2 * by };
}

/** @returns `undefined` when nothing of the box is inside. */
export function clipped(box: Box, to: Box): Box | undefined {
  const x = Math.max(box.x, to.x);
  const y = Math.max(box.y, to.y);
  const width = Math.min(box.x + box.width, to.x + to.width) - x;
  const height = Math.min(box.y + box.height, to.y + to.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : undefined;
}

/** The smallest box of whole pixels around it. */
export function outward(box: Box): Box {
  const x = Math.floor(box.x);
  const y = Math.floor(box.y);
  return { x, y, width: Math.ceil(box.x + box.width) - x, height: Math.ceil(box.y + box.height) - y };
}

/** Whether two lists hold the same boxes in the same order, give or take `tolerance`. */
export function areSame(a: readonly Box[], b: readonly Box[], tolerance: number): boolean {
  return a.length === b.length && a.every((box, i) => isNear(box, b[i], tolerance));
}

function isNear(a: Box, b: Box | undefined, tolerance: number): boolean {
  if (!b) return false;
  return (['x', 'y', 'width', 'height'] as const).every((side) => Math.abs(a[side] - b[side]) <= tolerance);
}
