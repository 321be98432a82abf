/** What we use of Adaptive Cards 1.5 (adaptivecards.io, schema 1.5.0). */
export interface AdaptiveCard {
  readonly type: 'AdaptiveCard';
  readonly $schema?: string;
  readonly version: '1.5';
  readonly body: readonly Element[];
  readonly speak?: string;
  /** Asked for by the clients of these people, by the Connector's ids, whenever they show the card. */
  readonly refresh?: { readonly action: Execute; readonly userIds: readonly string[] };
  /** Teams' own: as wide as the thread, and whom the card names. */
  readonly msteams?: { readonly width?: 'Full'; readonly entities?: readonly Mention[] };
}

/** Written in a text as `<at>Name</at>`, which is `text`. */
export interface Mention {
  readonly type: 'mention';
  readonly text: string;
  readonly mentioned: { readonly id: string; readonly name: string };
}

interface Placed {
  readonly id?: string;
  readonly isVisible?: boolean;
  readonly separator?: boolean;
  readonly spacing?: 'None' | 'Small' | 'Default' | 'Medium';
}

type Color = 'Default' | 'Good' | 'Attention' | 'Warning' | 'Accent';

interface Styled {
  readonly size?: 'Small' | 'Default' | 'Medium' | 'Large';
  readonly weight?: 'Default' | 'Bolder';
  readonly color?: Color;
  readonly isSubtle?: boolean;
}

/** Markdown. Only for texts that name people, which nothing else can. */
export interface TextBlock extends Placed, Styled {
  readonly type: 'TextBlock';
  readonly text: string;
  readonly wrap: true;
}

/** Text as data: no client reads markdown in it. */
export interface TextRun extends Styled {
  readonly type: 'TextRun';
  readonly text: string;
  readonly fontType?: 'Monospace';
  readonly selectAction?: OpenUrl;
}

export interface RichTextBlock extends Placed {
  readonly type: 'RichTextBlock';
  readonly inlines: readonly TextRun[];
  readonly horizontalAlignment?: 'Left' | 'Right';
}

export interface Container extends Placed {
  readonly type: 'Container';
  readonly items: readonly Element[];
  readonly style?: 'default' | 'emphasis' | 'good' | 'attention' | 'warning';
}

export interface ColumnSet extends Placed {
  readonly type: 'ColumnSet';
  readonly columns: readonly {
    readonly type: 'Column';
    readonly width: 'auto' | 'stretch' | number;
    readonly items: readonly Element[];
  }[];
}

export interface Table extends Placed {
  readonly type: 'Table';
  readonly firstRowAsHeader: true;
  readonly showGridLines: boolean;
  readonly columns: readonly { readonly width: number; readonly horizontalCellContentAlignment: 'Left' | 'Right' }[];
  readonly rows: readonly {
    readonly type: 'TableRow';
    readonly cells: readonly { readonly type: 'TableCell'; readonly items: readonly Element[] }[];
  }[];
}

export interface Image extends Placed {
  readonly type: 'Image';
  readonly url: string;
  readonly altText: string;
  readonly size?: 'Medium' | 'Stretch';
  /** Teams' own: a click shows it large. */
  readonly msTeams?: { readonly allowExpand: true };
}

export interface ActionSet extends Placed {
  readonly type: 'ActionSet';
  readonly actions: readonly Action[];
}

interface InputBase extends Placed {
  readonly id: string;
  readonly label: string;
  readonly isRequired?: boolean;
  readonly errorMessage?: string;
}
export interface TextInput extends InputBase {
  readonly type: 'Input.Text';
  readonly isMultiline?: boolean;
  readonly maxLength?: number;
  readonly value?: string;
  readonly placeholder?: string;
  readonly style?: 'Password';
}
export interface ChoiceInput extends InputBase {
  readonly type: 'Input.ChoiceSet';
  readonly isMultiSelect?: boolean;
  readonly style: 'compact' | 'expanded' | 'filtered';
  readonly value?: string;
  readonly wrap?: true;
  readonly choices: readonly { readonly title: string; readonly value: string }[];
  /** Teams' own: everybody of the conversation is found by typing. */
  readonly 'choices.data'?: { readonly type: 'Data.Query'; readonly dataset: string };
}

export type Element =
  | TextBlock
  | RichTextBlock
  | Container
  | ColumnSet
  | Table
  | Image
  | ActionSet
  | TextInput
  | ChoiceInput;

interface ActionBase {
  readonly title: string;
  readonly style?: 'positive' | 'destructive';
}
/** Without a verb Teams sends it nowhere. */
export interface Execute extends ActionBase {
  readonly type: 'Action.Execute';
  readonly verb: string;
  readonly data: object;
  readonly associatedInputs?: 'none';
}
export interface OpenUrl extends ActionBase {
  readonly type: 'Action.OpenUrl';
  readonly url: string;
}
export interface ShowCard extends ActionBase {
  readonly type: 'Action.ShowCard';
  readonly card: AdaptiveCard;
}
export interface ToggleVisibility extends ActionBase {
  readonly type: 'Action.ToggleVisibility';
  readonly targetElements: readonly string[];
}
/** Only of dialogs: it opens one, with `msteams`, or sends what was filled in there. */
export interface Submit extends ActionBase {
  readonly type: 'Action.Submit';
  readonly data: { readonly connect: string; readonly msteams?: { readonly type: 'task/fetch' } };
}
export type Action = Execute | OpenUrl | ShowCard | ToggleVisibility | Submit;

/** Of the card as it is sent, in bytes. */
export function sizeOf(card: AdaptiveCard): number {
  return Buffer.byteLength(JSON.stringify(card));
}

/** As the Connector takes it, in a message's `attachments` or as an answer to a click. */
export const CARD_TYPE = 'application/vnd.microsoft.card.adaptive';

export function attachmentOf(card: AdaptiveCard): { readonly contentType: string; readonly content: AdaptiveCard } {
  return { contentType: CARD_TYPE, content: card };
}
