import { type Html, html } from '../../core/markup.ts';
import type { Form, FormField, Person } from '../../core/ports/chat.ts';
import type { OpenForm } from './store.ts';

/** Before the name of each field, so that no field's name meets one of the page's own. */
const FIELD = 'field-';

export type Fields = Readonly<Record<string, readonly string[]>>;
export type FieldErrors = Readonly<Record<string, string>>;

/** How a form is drawn: with what the person has filled in so far, and what is wrong with it. */
export interface FormView {
  readonly people: readonly Person[];
  readonly fields?: Fields;
  readonly errors?: FieldErrors;
}

/** Draws a form. It stands in a dialog where there is a script, and on the page or alone where there is none. */
export function renderForm({ id, userId, form }: OpenForm, view: FormView): Html {
  const fields = form.fields.map((field) => renderField(field, id, view));
  return html`<form class="form" method="post" action="/forms/${id}" data-form="${id}" novalidate aria-labelledby="${id}-title"><h2 class="heading" id="${id}-title">${form.title}</h2>${form.intro !== undefined && html`<p class="text quiet">${form.intro}</p>`}<input type="hidden" name="as" value="${userId}">${fields}<div class="actions"><button class="button primary">${form.submit}</button><button class="button plain" formaction="/forms/${id}/close" formnovalidate data-cancel>Cancel</button></div></form>`;
}

function renderField(field: FormField, formId: string, view: FormView): Html {
  const id = `${formId}-${field.name}`;
  const error = view.errors?.[field.name];
  const help = field.help !== undefined && html`<p class="help" id="${id}-help">${field.help}</p>`;
  const wrong = html`<p class="error" id="${id}-error" data-error="${field.name}">${error}</p>`;
  const describedBy = `${field.help === undefined ? '' : `${id}-help `}${id}-error`;
  if (field.kind === 'text') {
    const value = view.fields?.[field.name]?.[0] ?? field.initial ?? '';
    const attributes = html`id="${id}" name="${FIELD}${field.name}" aria-describedby="${describedBy}"${field.isRequired && html` required`}${error !== undefined && html` aria-invalid="true"`}`;
    const input = field.isMultiline
      ? html`<textarea ${attributes} rows="4">${value}</textarea>`
      : html`<input type="text" ${attributes} value="${value}" autocomplete="off">`;
    const optional = !field.isRequired && html` <span class="optional">optional</span>`;
    return html`<div class="field"><label for="${id}">${field.label}${optional}</label>${help}${input}${wrong}</div>`;
  }
  if (field.kind === 'choice') {
    const chosen = view.fields?.[field.name]?.[0] ?? field.initial;
    const options = field.options.map(
      ({ value, label }) => html`<option value="${value}"${value === chosen && html` selected`}>${label}</option>`,
    );
    const none = !field.isRequired && html`<option value="">none</option>`;
    return html`<div class="field"><label for="${id}">${field.label}</label>${help}<select id="${id}" name="${FIELD}${field.name}" aria-describedby="${describedBy}">${none}${options}</select>${wrong}</div>`;
  }
  const choices = choicesOf(field, view.people).map((choice, index) => {
    const checked = choice.isLocked
      ? choice.isChecked
      : (view.fields?.[field.name]?.includes(choice.value) ?? choice.isChecked);
    return html`<label class="choice"><input type="checkbox" id="${id}-${index}" name="${FIELD}${field.name}" value="${choice.value}"${checked && html` checked`}${choice.isLocked && html` disabled`}><span>${choice.label}${choice.help !== undefined && html`<span class="help">${choice.help}</span>`}</span></label>`;
  });
  return html`<fieldset class="field" aria-describedby="${describedBy}"><legend>${field.label}</legend>${help}${choices}${wrong}</fieldset>`;
}

interface Choice {
  readonly value: string;
  readonly label: string;
  readonly help?: string;
  readonly isChecked: boolean;
  readonly isLocked?: boolean;
}

function choicesOf(
  field: Exclude<FormField, { kind: 'text' | 'choice' }>,
  people: readonly Person[],
): readonly Choice[] {
  if (field.kind === 'checkboxes') return field.options;
  if (field.kind === 'channels') return []; // web chat has none
  return people.map(({ userId, name }) => ({ value: userId, label: name, isChecked: field.initial.includes(userId) }));
}

/** What was filled in, as the form allows it: nothing that was not offered, and locked boxes as they were shown. */
export function readFields(form: Form, posted: Readonly<Record<string, unknown>>, people: readonly Person[]): Fields {
  return Object.fromEntries(
    form.fields.map((field) => {
      const value = posted[`${FIELD}${field.name}`];
      const values = (Array.isArray(value) ? value : [value]).filter((each) => typeof each === 'string');
      if (field.kind === 'text') return [field.name, values.slice(0, 1).filter((text) => text !== '')];
      if (field.kind === 'choice')
        return [field.name, field.options.map(({ value: known }) => known).filter((known) => values[0] === known)];
      const taken = choicesOf(field, people).filter((choice) =>
        choice.isLocked ? choice.isChecked : values.includes(choice.value),
      );
      return [field.name, taken.map((choice) => choice.value)];
    }),
  );
}

/** What is missing before the form may be sent at all. */
export function missingFields(form: Form, fields: Fields): FieldErrors {
  const missing = form.fields.filter(
    (field) =>
      field.kind !== 'checkboxes' && field.isRequired && (fields[field.name] ?? []).every((text) => text.trim() === ''),
  );
  return Object.fromEntries(
    missing.map(({ name, kind }) => [name, kind === 'people' ? 'Choose at least one.' : 'Please fill this in.']),
  );
}
