import type { Picture } from '../../core/ports/browser.ts';
import type { ActionResult, ModelAction, ModelHands } from '../../core/ports/model.ts';
import { jpegOf } from './anthropic/images.ts';

/** A picture as the model gets it: the page's size, one pixel a CSS pixel. */
export const PICTURE: Picture = {
  bytes: jpegOf(1280, 800),
  mediaType: 'image/jpeg',
  width: 1280,
  height: 800,
  masks: [],
};

export interface RecordingHands extends ModelHands {
  readonly performed: readonly ModelAction[];
  /** In US dollars, in order; `settled` has `undefined` where it is still open. */
  readonly budget: readonly { readonly reserved: number; readonly settled: number | undefined }[];
}

/** Hands that write down what they are asked for, and do what the test says. */
export function recordingHands(
  does: {
    readonly perform?: (action: ModelAction) => ActionResult | Promise<ActionResult>;
    readonly isOver?: (performed: readonly ModelAction[]) => boolean;
    readonly reserve?: (usd: number) => Promise<void>;
  } = {},
): RecordingHands {
  const performed: ModelAction[] = [];
  const budget: { reserved: number; settled: number | undefined }[] = [];
  return {
    performed,
    budget,
    perform: async (action) => {
      performed.push(action);
      return (
        does.perform?.(action) ?? (action.kind === 'screenshot' ? { kind: 'done', picture: PICTURE } : { kind: 'done' })
      );
    },
    isOver: async () => does.isOver?.(performed) ?? false,
    reserve: async (usd) => {
      await does.reserve?.(usd);
      const entry: (typeof budget)[number] = { reserved: usd, settled: undefined };
      budget.push(entry);
      return {
        settle: async (real) => {
          if (entry.settled !== undefined) throw new Error('settled twice');
          entry.settled = real;
        },
      };
    },
    where: async () => ({ url: 'https://shop.example.com/wp-admin/', title: 'Dashboard' }),
  };
}
