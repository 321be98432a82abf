import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The style sheet that pages of every kind begin with; what is theirs alone follows it. */
export const LOOK: Buffer = readFileSync(join(import.meta.dirname, 'look.css'));
/** Its name where it is served as a file. */
export const LOOK_NAME = 'look.css';
