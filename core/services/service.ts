import type { Http, Origin } from '../ports/http.ts';
import type { Secret } from '../secret.ts';

/** All but the first are about a key that is stored already: the plan names it, see `Plan.key`. */
export type OperationType = 'api_key_generation' | 'credential_rotation' | 'integration_test' | 'credential_revocation';

/** An outside system that Countersign can set up. One folder in core/services, one line in its index. */
export interface Service {
  /** Lower-case slug, stored in rows: `woocommerce`. */
  readonly id: string;
  /** As the vendor writes it: `WooCommerce`. */
  readonly name: string;
  /** Other ways people say it, lower case: `woo`, `woo commerce`. */
  readonly aliases: readonly string[];
  /** What the bot asks for when no address was given, such as `the address of your shop`. */
  readonly targetWords: string;
  /** As one is written: `my-shop.myshopify.com`; `shop.example.com` when absent. */
  readonly targetExample?: string;
  /** Small letters that name a target by themselves, without a dot, such as Shopify's `my-shop`: the whole of it. */
  readonly targetName?: RegExp;
  /** The one address that everybody's is at, so that requests need not name one. */
  readonly home?: string;
  /** What people call the other side in the middle of a sentence; `the shop` when absent. */
  readonly side?: string;
  /** Reads the address as people write it: without a scheme, with a path, in capitals. */
  parseTarget(text: string): TargetResult;
  /**
   * Of a service that runs at its customer's own address: a page that anybody may open, which tells where that is, see
   * resolve-target.ts. Absent where the vendor's address is known.
   */
  readonly frontPage?: (base: string) => string;
  /** A page that such a site has at its own address alone, and what it shows: tells a folder from a page, see `TargetResult`. */
  readonly rootPage?: (base: string) => { readonly url: string; readonly shows: string };
  /** What the target shows without any key, one sentence each; absent: that it answers is all there is to say. @throws CountersignError `network`, `egress_refused` */
  examine?(input: ExamineInput): Promise<readonly Finding[]>;
  readonly operationTypes: Readonly<Partial<Record<OperationType, OperationTypeDefinition>>>;
}

/**
 * `base` is the origin, plus the folder for a shop in a subfolder, without a slash at the end. `folder` where the last part that
 * was written, such as `shop`, is usually a page of the site, and may be a folder of its own: the base if it is that.
 */
export type TargetResult =
  | { readonly kind: 'target'; readonly origin: Origin; readonly base: string; readonly folder?: string }
  /** A sentence for the person: what is wrong with it and what to send instead. */
  | { readonly kind: 'invalid'; readonly reason: string };

export interface CredentialField {
  /** The credential type in the vault and the workflow's secret slot: `admin_username`; of a key, its name in `result`. */
  readonly name: string;
  readonly label: string;
  readonly help: string;
  readonly isSecret: boolean;
  readonly autocomplete: 'username' | 'current-password' | 'off';
  /** `values` are the plan's. @returns a sentence, without anything of the text, when the text can't be right. */
  validate(text: string, values: Readonly<Record<string, string>>): string | undefined;
}

/** One of the ways to the same result. The plan names it; the consent card offers the first and names the others by a button. */
export interface Way {
  /** Lower-case slug, stored in plans: `browser`, `entered`. */
  readonly id: string;
  /**
   * `browser`: the worker clicks in the vendor's pages. `entered`: a person makes the key by the guide and enters it on the
   * one-time page; the worker stores and proves it, without a browser. `granted`: a person says yes on the vendor's own page,
   * and the vendor sends the key to us. `stored`: the stored key is all that it takes, so nothing is entered and no page opened.
   */
  readonly kind: 'browser' | 'entered' | 'granted' | 'stored';
  /** `proven` on the vendor's own pages, or `beta`: modelled on documentation. Shown on the consent card. */
  readonly standing: 'proven' | 'beta';
  /** On the card's button: `I make the key myself`. */
  readonly label: string;
  readonly workflowId: string;
  /**
   * Origins beside the target's own whose pages are opened and may be typed into; the one with the sign-in first. Shown on the
   * consent card, and nothing else is reached.
   */
  readonly origins?: readonly Origin[];
  /** What is entered on the one-time page: the sign-in, the key itself (names as in `result`), or nothing. */
  readonly fields: readonly CredentialField[];
  readonly typicalSeconds: number;
  /** Of the kind `granted`, and of no other. */
  readonly grant?: Grant;
}

/** The vendor's own page, on which a person says yes. */
export interface Grant {
  /** Whether the vendor can send a key to an installation at this address. */
  worksAt(publicUrl: URL): boolean;
  /** Where the person says yes or no. */
  url(input: GrantInput): string;
  /** The fields of the way in what the vendor sent; `undefined`: it is not what was asked for, and nothing is kept. */
  read(sent: unknown, input: Pick<GrantInput, 'reference' | 'values'>): Readonly<Record<string, string>> | undefined;
}

export interface GrantInput {
  readonly base: string;
  /** The key's name is to begin with it. */
  readonly label: string;
  readonly values: Readonly<Record<string, string>>;
  /** Of ours, known to the vendor: the operation's id. */
  readonly reference: string;
  /** Takes the key, once; unguessable. */
  readonly callbackUrl: string;
  /** Where the person's browser goes afterwards. */
  readonly returnUrl: string;
}

export interface OperationTypeDefinition {
  readonly type: OperationType;
  /** `Create a WooCommerce API key` */
  readonly title: string;
  /** The first is what is done unless somebody chooses another one. */
  readonly ways: readonly [Way, ...Way[]];
  readonly permissions: readonly Permission[];
  /** @returns a sentence when this choice makes no sense, although its permissions are known and none that is required is missing. */
  checkPermissions(permissions: readonly string[]): string | undefined;
  /** The workflow's value slots that follow from the granted permissions, such as `{ scope: 'read', scopeWords: 'Read' }`. */
  values(permissions: readonly string[]): Readonly<Record<string, string>>;
  /** What the result is called in the vault. */
  readonly credentialType: 'api_key' | 'oauth_token' | 'password' | 'session';
  /** What will be stored and where, in one sentence. */
  readonly stores: string;
  /** What it will not do, in one sentence. */
  readonly reassurance: string;
  /** The names that the workflow's one effect yields, each with its format; none of a type that makes no key. */
  readonly result: Readonly<Record<string, ResultField>>;
  /**
   * Proves by calls that change nothing that the credential works, and may do what was consented to and no more. What a person
   * entered is kept only where this says `works`.
   */
  verify(input: VerifyInput): Promise<VerifyResult>;
  /**
   * The short-lived token that the vendor's API takes alone, in exchange for the credential: whoever reads the credential is
   * given one beside it, from the vault while it holds (core/vault/tokens.ts). Not of a type that yields `oauth_token`.
   */
  token?(input: VerifyInput): Promise<TokenResult>;
  /** Ends the key at the vendor, where an API can. */
  revoke?(input: VerifyInput): Promise<RevokeResult>;
  /** How a person does it by hand, in order. */
  guide(base: string, values: Readonly<Record<string, string>>): readonly string[];
  /** How a person ends the key with this label at the service, in order. */
  revokeGuide(base: string, label: string): readonly string[];
}

export interface ResultField {
  readonly label: string;
  readonly matches: RegExp;
  /** It is no secret, such as a user name: words may hold it, as they may hold the one that signed in. */
  readonly isPublic?: true;
}

/** One thing that is asked for, in plain words. */
export interface Permission {
  readonly id: string;
  /** `Sign in to your shop's admin` */
  readonly words: string;
  /** Why it is needed. */
  readonly reason: string;
  /** A few words at the right of the card's row: `once, password deleted afterwards`. */
  readonly detail: string;
  readonly risk: 'reads' | 'creates' | 'changes';
  readonly isRequired: boolean;
  /** Asked for unless somebody chooses otherwise: the least that is useful. */
  readonly isDefault: boolean;
  /** Asked for in the ways with these ids alone; absent: in all. */
  readonly ways?: readonly string[];
}

export type ExamineInput = Pick<VerifyInput, 'base' | 'origin' | 'http'>;

export interface Finding {
  readonly isGood: boolean;
  /** What is so, and where it is not good, what to do. */
  readonly words: string;
}

export interface VerifyInput {
  readonly base: string;
  readonly origin: Origin;
  readonly credential: Readonly<Record<string, Secret>>;
  readonly permissions: readonly string[];
  readonly http: Http;
}

export type VerifyResult =
  /** `checked` as a sentence for the result card: `shop.example.com answered 200, 5 products`. */
  | { readonly kind: 'works'; readonly checked: string; readonly method: string }
  | {
      readonly kind: 'fails';
      readonly reason: string;
      readonly isRetryable: boolean;
      /**
       * What the vendor answered, such as `401`, when it is the credential that it did not take, or took as none: of one that
       * worked before, the sign that it has ended.
       */
      readonly refusedWith?: string;
    };

export type RevokeResult =
  /** The vendor no longer takes it. */
  | { readonly kind: 'revoked' }
  /** What happened, as a sentence: the key may still live. */
  | {
      readonly kind: 'fails';
      readonly reason: string;
      readonly isRetryable: boolean;
      /** Not taken, for this key's fault or for that of something on the way: it has ended if another key is taken now. */
      readonly isNotTaken?: boolean;
    };

export type TokenResult =
  | { readonly kind: 'token'; readonly token: Secret; readonly expiresInSeconds: number }
  /** Why there is none, as a sentence. */
  | { readonly kind: 'fails'; readonly reason: string; readonly isRetryable: boolean };
