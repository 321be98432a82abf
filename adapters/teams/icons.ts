import { crc32, deflateSync } from 'node:zlib';

/** A colour with how much of it there is, each from 0 to 255. */
type Colour = readonly [red: number, green: number, blue: number, alpha: number];
type Point = readonly [x: number, y: number];

const ACCENT: Colour = [0x1f, 0x6f, 0x5c, 255];
const WHITE: Colour = [255, 255, 255, 255];
const NOTHING: Colour = [255, 255, 255, 0];

/** A tick over a line, as one signs; in a square of 1 by 1. */
const TICK: readonly Point[] = [
  [0.26, 0.48],
  [0.43, 0.65],
  [0.76, 0.27],
];
const LINE: readonly Point[] = [
  [0.26, 0.8],
  [0.76, 0.8],
];
const SAMPLES = 4;

/** The app's icons as Teams wants them: 192 by 192 in colour, 32 by 32 in white on nothing (learn.microsoft.com, app manifest). */
export function appIcons(): { readonly color: Buffer; readonly outline: Buffer } {
  const mark = (at: Point, half: number) => near(at, TICK, half) || near(at, LINE, half * 0.8);
  return {
    color: draw(192, (at) => (mark(at, 0.055) ? WHITE : ACCENT)),
    outline: draw(32, (at) => (mark(at, 0.07) ? WHITE : NOTHING)),
  };
}

/** Whether a point is within half the stroke's width of a line through those points. */
function near([x, y]: Point, line: readonly Point[], half: number): boolean {
  return line.slice(1).some(([bx, by], index) => {
    const [ax, ay] = line[index] ?? [bx, by];
    const length = (bx - ax) ** 2 + (by - ay) ** 2;
    const along = Math.max(0, Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length));
    return Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)) <= half;
  });
}

/** A PNG (RFC 2083) with smooth edges: each pixel is the mean of `SAMPLES` by `SAMPLES` points. */
function draw(size: number, colourAt: (at: Point) => Colour): Buffer {
  const rows: Buffer[] = [];
  for (let y = 0; y < size; y++) {
    const row = Buffer.alloc(1 + size * 4); // its first byte: no filter
    for (let x = 0; x < size; x++) row.set(meanOf(x, y, size, colourAt), 1 + x * 4);
    rows.push(row);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 6], 8); // 8 bits each of red, green, blue and alpha
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const pixels = deflateSync(Buffer.concat(rows), { level: 9 });
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}

function meanOf(x: number, y: number, size: number, colourAt: (at: Point) => Colour): readonly number[] {
  const sums = [0, 0, 0, 0];
  for (let dy = 0; dy < SAMPLES; dy++)
    for (let dx = 0; dx < SAMPLES; dx++) {
      const at: Point = [(x + (dx + 0.5) / SAMPLES) / size, (y + (dy + 0.5) / SAMPLES) / size];
      colourAt(at).forEach((part, index) => {
        sums[index] = (sums[index] ?? 0) + part;
      });
    }
  return sums.map((sum) => Math.round(sum / SAMPLES ** 2));
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
