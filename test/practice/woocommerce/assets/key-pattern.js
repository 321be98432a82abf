// Draws a text onto a canvas twice: as black and white modules, eight a byte, around three corner marks like those of a
// QR code, and in small letters below. Whoever has the picture has the text.
(() => {
  const SIZE = 33;
  const MODULE = 6;
  const MARK = 8;
  const LINE = 44;

  const isInMark = (x, y) => (x < MARK && (y < MARK || y >= SIZE - MARK)) || (x >= SIZE - MARK && y < MARK);

  function bitsOf(text) {
    const bytes = new TextEncoder().encode(text);
    return [...bytes].flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((shift) => (byte >> shift) & 1));
  }

  function drawMark(pen, left, top) {
    pen.fillRect(left * MODULE, top * MODULE, 7 * MODULE, 7 * MODULE);
    pen.clearRect((left + 1) * MODULE, (top + 1) * MODULE, 5 * MODULE, 5 * MODULE);
    pen.fillRect((left + 2) * MODULE, (top + 2) * MODULE, 3 * MODULE, 3 * MODULE);
  }

  window.drawKeyPattern = (place, text) => {
    const canvas = document.createElement('canvas');
    canvas.width = 250;
    canvas.height = SIZE * MODULE + 30;
    const pen = canvas.getContext('2d');
    pen.fillStyle = '#000';
    const bits = bitsOf(text);
    let next = 0;
    for (let y = 0; y < SIZE; y += 1) {
      for (let x = 0; x < SIZE; x += 1) {
        if (isInMark(x, y)) continue;
        // After the text, a pattern that is neither black nor white, so that the square looks full.
        const isDark = next < bits.length ? bits[next] === 1 : ((x * 53 + y * 97) ^ (x * y * 13)) % 7 < 3;
        next += 1;
        if (isDark) pen.fillRect(x * MODULE, y * MODULE, MODULE, MODULE);
      }
    }
    drawMark(pen, 0, 0);
    drawMark(pen, SIZE - 7, 0);
    drawMark(pen, 0, SIZE - 7);
    pen.font = '9px "Liberation Mono", Consolas, Menlo, monospace';
    for (let line = 0; line * LINE < text.length; line += 1) {
      pen.fillText(text.slice(line * LINE, (line + 1) * LINE), 0, SIZE * MODULE + 13 + line * 12);
    }
    place.replaceChildren(canvas);
  };
})();
