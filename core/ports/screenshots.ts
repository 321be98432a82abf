import type { CustomerId, OperationId } from '../ids.ts';

/** Masked, annotated pictures of steps; sealed under the customer's key wherever they lie. */
export interface Screenshots {
  /** @returns the picture's id, a random UUID; `undefined`: the customer has no more room for pictures at present. */
  put(customerId: CustomerId, picture: NewScreenshot): Promise<string | undefined>;
  /** `undefined` for an unknown id, another customer's, or one that was erased. */
  get(customerId: CustomerId, id: string): Promise<StoredScreenshot | undefined>;
}

export interface NewScreenshot {
  readonly operationId: OperationId;
  readonly step: number;
  readonly bytes: Buffer;
  readonly mediaType: 'image/jpeg' | 'image/png' | 'image/webp';
  readonly width: number;
  readonly height: number;
  /** What a screen reader says. */
  readonly alt: string;
}

export interface StoredScreenshot extends NewScreenshot {
  readonly id: string;
}
