import type { Http, Origin } from '../ports/http.ts';
import type { Secret } from '../secret.ts';

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
  /** Reads the address as people write it: without a scheme, with a path, in capitals. */
  parseTarget(text: string): TargetResult;
  /**
   * Of a service that runs at its customer's own address: a page that anybody may open, which tells where that is, see
   * resolve-target.ts. Absent where the vendor's address is known.
   */
  readonly home?: (base: string) => string;
  /** What the target shows without any key, one sentence each; absent: that it answers is all there is to say. @throws CountersignError `network`, `egress_refused` */
  examine?(input: ExamineInput): Promise<readonly Finding[]>;
  /** What a person enters on the one-time page so that the worker can sign in. */
  readonly signIn: readonly CredentialField[];
  readonly operationTypes: Readonly<Partial<Record<OperationType, OperationTypeDefinition>>>;
}

/** `base` is the origin, plus the folder for a shop in a subfolder, without a slash at the end. */
export type TargetResult =
  | { readonly kind: 'target'; readonly origin: Origin; readonly base: string }
  /** A sentence for the person: what is wrong with it and what to send instead. */
  | { readonly kind: 'invalid'; readonly reason: string };

export interface CredentialField {
  /** The credential type in the vault and the workflow's secret slot: `admin_username`. */
  readonly name: string;
  readonly label: string;
  readonly help: string;
  readonly isSecret: boolean;
  readonly autocomplete: 'username' | 'current-password' | 'off';
  /** @returns a sentence when the text can't be right. */
  validate(text: string): string | undefined;
}

export interface OperationTypeDefinition {
  readonly type: OperationType;
  /** `proven` on the vendor's own pages, or `beta`: modelled on documentation. Shown on the consent card. */
  readonly standing: 'proven' | 'beta';
  /** `Create a WooCommerce API key` */
  readonly title: string;
  readonly workflowId: string;
  readonly permissions: readonly Permission[];
  /** @returns a sentence when this choice of permissions makes no sense. */
  checkPermissions(permissions: readonly string[]): string | undefined;
  /** The workflow's value slots that follow from the granted permissions, such as `{ scope: 'read', scopeWords: 'Read' }`. */
  values(permissions: readonly string[]): Readonly<Record<string, string>>;
  /** What the result is called in the vault. */
  readonly credentialType: 'api_key' | 'oauth_token' | 'password' | 'session';
  /** What will be stored and where, in one sentence. */
  readonly stores: string;
  /** What it will not do, in one sentence. */
  readonly reassurance: string;
  readonly typicalSeconds: number;
  /** The names that the workflow's extract step yields, each with its format. */
  readonly result: Readonly<Record<string, { readonly label: string; readonly matches: RegExp }>>;
  /** Proves that the new credential works, with as little as possible: one or two reading calls. */
  verify(input: VerifyInput): Promise<VerifyResult>;
  /** How a person does it by hand, in order. */
  guide(base: string, values: Readonly<Record<string, string>>): readonly string[];
  /** How a person ends the key with this label at the service, in order. */
  revokeGuide(base: string, label: string): readonly string[];
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
  | { readonly kind: 'fails'; readonly reason: string; readonly isRetryable: boolean };
