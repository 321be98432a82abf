import { stringify } from 'csv-stringify/sync';

/**
 * One line of CSV (RFC 4180, with its line end). A cell that a spreadsheet would take for a formula begins with an apostrophe
 * (OWASP, CSV injection: = + - @ tab and carriage return, with the wide forms that some programs take for the same).
 */
export function csvLine(cells: readonly string[]): string {
  // The library quotes a cell with its own line end in it; readers take either half of it for one, too.
  return stringify([[...cells]], { escape_formulas: true, record_delimiter: 'windows', quoted_match: /[\r\n]/ });
}
