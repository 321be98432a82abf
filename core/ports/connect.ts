import type { TakenTrail } from '../audit/export.ts';
import type { Secret } from '../secret.ts';

/** What the one-time pages under `/connect/:token` show and take. A look spends nothing; a submission spends the link. */
export interface ConnectPages {
  /** `undefined`: unknown, spent or expired, which look alike. */
  look(token: string): Promise<ConnectView | undefined>;
  submit(token: string, fields: Readonly<Record<string, string>>): Promise<ConnectOutcome>;
  /** What a vendor sent, to whom a person said yes. @returns whether it was taken. */
  granted(token: string, sent: unknown): Promise<boolean>;
}

export type ConnectView = {
  /** `op-…` */
  readonly operationId: string;
  /** `Create a WooCommerce API key` */
  readonly title: string;
  /** The origin that it will be used on, and nowhere else. */
  readonly origin: string;
  /** Whom the link is for. */
  readonly person: string;
  readonly expiresAt: Date;
} & (
  | {
      readonly kind: 'sign_in';
      readonly fields: readonly ConnectField[];
      /** What is entered will travel to the origin as it is: people are told before they enter it. */
      readonly isUnencrypted: boolean;
      /** It is not deleted after one operation, but kept for repairs until then. */
      readonly keptUntil?: Date;
    }
  /** The key that its person makes by the steps, which may hold addresses. */
  | { readonly kind: 'key'; readonly fields: readonly ConnectField[]; readonly guide: readonly string[] }
  /** The vendor's own page, where its person says yes, and which sends the key to us. */
  | { readonly kind: 'grant'; readonly vendor: string; readonly url: string }
  /** One field, `code`, for what the site asks its person for. */
  | { readonly kind: 'code' }
  | { readonly kind: 'trail' }
  /** The stored result; `label` is its name at the service. */
  | { readonly kind: 'reveal'; readonly label: string }
);

export interface ConnectField {
  readonly name: string;
  readonly label: string;
  readonly help: string;
  readonly isSecret: boolean;
  readonly autocomplete: 'username' | 'current-password' | 'off';
}

export type ConnectOutcome =
  | { readonly kind: 'entered'; readonly what: 'sign_in' | 'key' | 'kept' }
  /** A code was taken; the worker goes on with it. */
  | { readonly kind: 'answered' }
  /** Sentences at the fields; the link is not spent. */
  | { readonly kind: 'invalid'; readonly errors: Readonly<Record<string, string>> }
  | { readonly kind: 'gone' }
  | { readonly kind: 'trail'; readonly operationId: string; readonly take: TakenTrail }
  /** Shown once; the page is never made again. */
  | { readonly kind: 'revealed'; readonly operationId: string; readonly fields: readonly RevealedField[] };

export interface RevealedField {
  /** `Consumer key` */
  readonly label: string;
  readonly secret: Secret;
}
