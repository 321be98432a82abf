/** A chat platform as the conversation sees it. Adapters translate; they decide nothing. */
export interface Chat {
  readonly platform: Platform;
  readonly capabilities: ChatCapabilities;
  /**
   * Posts a new message. The same `key` posted again gives the first message's reference where the platform can tell
   * (at least once otherwise). Where `thread` is a channel itself the message begins a thread, which the returned reference
   * names. @throws CountersignError `chat_unavailable` (retryable or not).
   */
  post(thread: ThreadRef, card: Card, options: { key: string; hasPlace?: true }): Promise<MessageRef>;
  /** Replaces a message's content in place. */
  update(message: MessageRef, card: Card, options?: { hasPlace?: true }): Promise<void>;
  /**
   * Books a place in the platform's line for one message, edit, picture or `showActivity`. @returns the milliseconds until
   * it may go: whoever asked then sends what is newest, with `hasPlace`. Whoever doesn't ask waits in the call itself. Absent:
   * there is no line. @throws CountersignError `database_unavailable`.
   */
  place?(thread: ThreadRef, what: 'post' | 'edit' | 'picture' | 'activity'): Promise<number>;
  /**
   * Shows beside the thread's name what we do there, and the platform's own Stop while we work; a workspace without that
   * shows nothing. Absent: the platform has no such thing. @throws CountersignError `chat_unavailable`, retryable.
   */
  showActivity?(thread: ThreadRef, activity: Activity, options?: { hasPlace?: true }): Promise<void>;
  /**
   * Shows a card in the thread to one person alone; where the platform can't, sends it to them directly. With a `key` it
   * takes the place of the card that this person was shown under that key before, where the platform can do that. With
   * `replaces`, an action's or a form's `shown`, it takes the place of the card whose button was pressed, while the platform allows it.
   */
  ephemeral(
    thread: ThreadRef,
    person: Person,
    card: Card,
    options?: { key?: string; replaces?: string },
  ): Promise<void>;
  /** To one person alone. The same `key` sent again gives the first message's reference where the platform can tell. */
  directMessage(person: Person, card: Card, options?: { key: string }): Promise<MessageRef>;
  /** The time zone (IANA) that a person has set there; `undefined`: none that is known. Absent: the platform has no such thing. */
  timeZone?(person: Person): Promise<string | undefined>;
  /** A person by id, with the name that the platform knows. @throws CountersignError `chat_unavailable`. */
  person(workspaceId: string, userId: string): Promise<Person>;
  /**
   * What the platform itself says of somebody at this moment; asked when they decide. `group`: the id of a group of the
   * workspace; a platform without groups has nobody in one. @throws CountersignError `chat_unavailable`.
   */
  standing(person: Person, group?: string): Promise<Standing>;
  /** The workspace's groups that people can be chosen by, and none where they can't be seen. Absent: there are no groups. */
  groups?(workspaceId: string): Promise<readonly Group[]>;
  /** What the platform has written down of a clip. Absent: it writes nothing down. @throws CountersignError `chat_unavailable`. */
  transcript?(thread: ThreadRef, clip: string): Promise<Transcript>;
  /** Where a thread is read; `undefined`: it has no address. Absent: no thread has one. */
  linkTo?(thread: ThreadRef): string | undefined;
  /** The channel that a thread is in, as a `channels` field names it. Absent: there are no channels. */
  channelOf?(thread: ThreadRef): string;
  /**
   * Where something can be said that nobody there asked for: what is posted to it begins a thread. `channel`: as `channelOf`
   * names it. `undefined`: it takes a channel to do that. Absent: nothing can be begun there.
   */
  begin?(workspaceId: string, channel: string | undefined): ThreadRef | undefined;
  /** Opens a form for the person whose click or command made `trigger`; it answers with a `form` event. */
  openForm(trigger: string, form: Form): Promise<void>;
  /** Puts a picture into the thread where cards cannot carry pictures. */
  upload(thread: ThreadRef, picture: PictureLink, options: { key: string; hasPlace?: true }): Promise<MessageRef>;
  /** Shows a card on the person's own page, in place of what stood there; absent where the platform has no such page. */
  showHome?(person: Person, card: Card): Promise<void>;
}

/** `waiting`: for a person. `over`: nothing more comes by itself. */
export type Activity = 'working' | 'waiting' | 'over';

export const PLATFORMS = ['slack', 'teams', 'web'] as const;
export type Platform = (typeof PLATFORMS)[number];

export interface ChatCapabilities {
  readonly ephemeral: boolean;
  /** What one person was shown under a key is replaced under it. */
  readonly ephemeralInPlace: boolean;
  readonly directMessage: boolean;
  readonly updateInPlace: boolean;
  readonly form: boolean;
  readonly upload: boolean;
  readonly mention: boolean;
  /** People are in groups that have ids, such as a user group. */
  readonly groups: boolean;
  /** Cards show pictures by themselves, so nothing is uploaded. */
  readonly picturesInCards: boolean;
}

/** A conversation of one request. `ref` is the adapter's own text; nobody else reads it. */
export interface ThreadRef {
  readonly platform: Platform;
  readonly workspaceId: string;
  readonly ref: string;
}

export interface MessageRef {
  readonly thread: ThreadRef;
  readonly ref: string;
}

/** A person as the platform knows them: identity is (platform, workspace, user), never a name. */
export interface Person {
  readonly platform: Platform;
  readonly workspaceId: string;
  readonly userId: string;
  /** For people to read. */
  readonly name: string;
}

/** `none`: there will be none, or none for us. */
export type Transcript = { readonly kind: 'ready'; readonly text: string } | { readonly kind: 'not_yet' | 'none' };

export interface Group {
  readonly id: string;
  /** For people to read. */
  readonly name: string;
}

export type Standing =
  | { readonly kind: 'member'; readonly isInGroup: boolean }
  /** Of another workspace, in a shared channel, or with rights for a few channels only. */
  | { readonly kind: 'guest' }
  /** Nobody there, or not to be told apart. */
  | { readonly kind: 'unknown' };

/** What reaches us. `id` is the platform's own and the same when the platform repeats itself. */
export type ChatEvent =
  | {
      readonly kind: 'message';
      readonly id: string;
      readonly thread: ThreadRef;
      readonly from: Person;
      readonly text: string;
      /** Somebody spoke, and wrote nothing: the clip, for `Chat.transcript`. */
      readonly clip?: string;
      /** How often an answer has put it off, see `ChatReply`. */
      readonly attempt?: number;
      /** Said in a channel that the bot can read, but to nobody or to others. */
      readonly isOverheard?: true;
    }
  | {
      readonly kind: 'command';
      readonly id: string;
      readonly thread: ThreadRef;
      readonly from: Person;
      /** Without its slash. */
      readonly command: 'countersign' | 'audit';
      readonly text: string;
      /** For `Chat.openForm`. */
      readonly trigger: string;
      /** Given to a channel, not in a thread of it: `thread` is the channel itself. */
      readonly isOutsideThreads?: true;
    }
  | {
      readonly kind: 'action';
      readonly id: string;
      readonly thread: ThreadRef;
      readonly from: Person;
      /** The message whose button it was; absent for a message that only this person saw. */
      readonly message?: MessageRef;
      /** Pressed on the page that the platform has for them, see `Chat.showHome`. */
      readonly isFromHome?: true;
      /** Pressed in the console: by which browser. */
      readonly browser?: EventBrowser;
      /** How `ephemeral` finds the message that only this person saw, where the platform tells. */
      readonly shown?: string;
      readonly action: string;
      readonly value: string;
      readonly trigger: string;
    }
  | {
      readonly kind: 'form';
      readonly id: string;
      readonly thread: ThreadRef;
      readonly from: Person;
      /** Sent from the console: by which browser. */
      readonly browser?: EventBrowser;
      /** How `ephemeral` finds the message whose button opened it, where only this person saw that and the platform tells. */
      readonly shown?: string;
      readonly form: string;
      readonly value: string;
      readonly fields: Readonly<Record<string, readonly string[]>>;
    }
  /** Somebody changed what they had written in the thread, or took it away. */
  | {
      readonly kind: 'edit';
      readonly id: string;
      readonly thread: ThreadRef;
      readonly from: Person;
      /** Absent: the platform does not say what stood there, and `of` names it. */
      readonly before?: string;
      /** `id` of the event that brought what stood there first; what changes it has an `id` that goes on from that with `/`. */
      readonly of?: string;
      /** Absent: it was deleted. */
      readonly after?: string;
    }
  /** Somebody pressed the platform's own Stop, which is about everything in the thread. */
  | { readonly kind: 'stop'; readonly id: string; readonly thread: ThreadRef; readonly from: Person }
  /** Somebody opened the page that the platform has for them, see `Chat.showHome`. */
  | { readonly kind: 'home'; readonly id: string; readonly thread: ThreadRef; readonly from: Person };

/** What a person's own browser says of itself. */
export interface EventBrowser {
  /** IPv4 or IPv6. */
  readonly ipAddress?: string;
  readonly userAgent?: string;
}

/** An event by its platform's own name for it; of the HTTP API, by the key that the request has. */
export interface EventRef {
  readonly platform: Platform | 'api';
  readonly id: string;
}

/** Answers within the platform's time for acknowledgement; a form may be sent back with messages at its fields. */
export type ChatListener = (event: ChatEvent) => Promise<ChatReply>;
export type ChatReply =
  | undefined
  /** Not yet: the same event is to be handed in once more after that time. */
  | { readonly laterMs: number }
  | { readonly fieldErrors: Readonly<Record<string, string>> };

/** One message. `summary` is plain text: the notification, the fallback, and what a screen reader hears first. */
export interface Card {
  readonly summary: string;
  readonly blocks: readonly Block[];
  /** Where the request that the message is about stands: for a platform that lists its threads. */
  readonly status?: CardStatus;
}

export interface CardStatus {
  readonly tone: 'waiting' | 'running' | 'done' | 'failed';
  /** Such as `Waiting for approval`. */
  readonly words: string;
}

/** Text as data: adapters escape every word, nothing in here is markup. */
export type Span =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bold'; readonly text: string }
  /** An id, a hash: a small monospace chip. */
  | { readonly kind: 'code'; readonly text: string }
  /** Shown in the reader's own time zone. */
  | { readonly kind: 'time'; readonly at: Date; readonly form: 'time' | 'datetime' }
  | { readonly kind: 'person'; readonly person: Person }
  | { readonly kind: 'link'; readonly text: string; readonly url: string };
export type RichText = readonly Span[];

export type Block =
  | { readonly kind: 'heading'; readonly text: RichText }
  | { readonly kind: 'text'; readonly text: RichText; readonly tone?: 'plain' | 'quiet' | 'warning' }
  /** Rows with an accent dot (or numbers), a hairline between them, a quiet word at the right. */
  | {
      readonly kind: 'list';
      readonly isNumbered?: boolean;
      readonly items: readonly { readonly text: RichText; readonly detail?: string }[];
    }
  /** The live list of a running operation: a mark, the sentence, the seconds. */
  | { readonly kind: 'steps'; readonly items: readonly StepLine[] }
  /** Label and value, in two columns. */
  | { readonly kind: 'facts'; readonly rows: readonly { readonly label: string; readonly value: RichText }[] }
  /** Who decided, when, how: a bar at the left. */
  | { readonly kind: 'signature'; readonly tone: 'granted' | 'refused' | 'neutral'; readonly text: RichText }
  /** The last picture is shown large, earlier ones as small ones to enlarge. */
  | { readonly kind: 'pictures'; readonly items: readonly PictureLink[] }
  | {
      readonly kind: 'table';
      readonly caption: string;
      readonly columns: readonly TableColumn[];
      readonly rows: readonly (readonly RichText[])[];
    }
  /** Folded away until asked for. */
  | { readonly kind: 'details'; readonly summary: string; readonly blocks: readonly Block[] }
  /** With `thread`: a click belongs to that one, wherever the card stands. */
  | { readonly kind: 'actions'; readonly buttons: readonly Button[]; readonly thread?: ThreadRef }
  /** Two small buttons under an answer: it was good, it was not. A click comes back as `action` with the value of either. */
  | { readonly kind: 'feedback'; readonly action: string; readonly good: string; readonly bad: string };

export interface StepLine {
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'unsure';
  readonly text: string;
  /** Such as `1.1 s`. */
  readonly detail?: string;
}

export interface TableColumn {
  readonly label: string;
  readonly align: 'left' | 'right';
}

export interface PictureLink {
  /** An address that this thread's people can open, bound to this one picture. */
  readonly url: string;
  readonly alt: string;
  readonly width: number;
  readonly height: number;
}

/** With `url` it opens a page; otherwise a click comes back as an `action` event with `action` and `value`. */
export interface Button {
  readonly label: string;
  readonly style: 'primary' | 'plain' | 'danger';
  readonly action: string;
  readonly value: string;
  readonly url?: string;
  /**
   * Whom it is for, as far as that is known: where each person has a page of their own the others are not shown it. It is
   * no right: who presses it is judged by the flow that it leads to. Absent: everybody.
   */
  readonly for?: readonly Person[];
  readonly confirm?: {
    readonly title: string;
    readonly text: string;
    readonly yes: string;
    /** Agreeing is the safe side, as it is for a stop: where the platform leaves a choice, Enter agrees. */
    readonly isSafe?: boolean;
    /** Asked only where the platform's own clients ask, in a dialog: elsewhere what is agreed to stands beside the button. */
    readonly isExtra?: boolean;
  };
}

export interface Form {
  readonly form: string;
  readonly value: string;
  readonly title: string;
  readonly submit: string;
  readonly intro?: string;
  readonly fields: readonly FormField[];
}

/** No kind for secrets: these are entered on the one-time page `/connect/:token`. */
export type FormField =
  | {
      readonly kind: 'text';
      readonly name: string;
      readonly label: string;
      readonly help?: string;
      readonly isRequired: boolean;
      readonly initial?: string;
      readonly isMultiline?: boolean;
    }
  | {
      readonly kind: 'checkboxes';
      readonly name: string;
      readonly label: string;
      readonly help?: string;
      readonly options: readonly {
        readonly value: string;
        readonly label: string;
        readonly help?: string;
        readonly isChecked: boolean;
        readonly isLocked?: boolean;
      }[];
    }
  /** One of them; none is nothing chosen. `initial` is one of the options. */
  | {
      readonly kind: 'choice';
      readonly name: string;
      readonly label: string;
      readonly help?: string;
      readonly isRequired: boolean;
      readonly initial?: string;
      readonly options: readonly { readonly value: string; readonly label: string }[];
    }
  /** Answers with user ids of this workspace, or with ids of its channels. */
  | {
      readonly kind: 'people' | 'channels';
      readonly name: string;
      readonly label: string;
      readonly help?: string;
      readonly isRequired: boolean;
      readonly initial: readonly string[];
    };
