import type { ChatCapabilities } from '../../core/ports/chat.ts';

export interface LinesOptions {
  /** 0 takes any free port. */
  readonly port: number;
  /** The first one is the first admin; `word` proves who somebody is. */
  readonly people: readonly { readonly userId: string; readonly name: string; readonly word: string }[];
}

/** There is one. */
export const WORKSPACE = 'lines';

export const capabilities: ChatCapabilities = {
  ephemeral: true,
  ephemeralInPlace: false,
  directMessage: false,
  updateInPlace: false,
  form: false,
  upload: false,
  mention: false,
  groups: false,
  picturesInCards: true,
};
