/**
 * One line of CSV (RFC 4180, with its line end). A cell that a spreadsheet would take for a formula begins with an apostrophe
 * (OWASP, CSV injection: = + - @ tab and carriage return, with the wide forms that some programs take for the same).
 */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

function csvCell(text: string): string {
  const harmless = /^[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
