const FORMS = {
  time: { hour: '2-digit', minute: '2-digit' },
  date: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' },
};
const SPANS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];
const LATELY_S = 7 * 86_400;
const relative = new Intl.RelativeTimeFormat('en-GB', { numeric: 'auto' });

/** Writes every moment in the reader's own time zone; the moment itself stays in the markup, in UTC. */
export function localize(root) {
  for (const element of root.querySelectorAll('time[datetime]')) {
    const at = new Date(element.dateTime);
    const whole = at.toLocaleString('en-GB', { ...FORMS.date, timeZoneName: 'short' });
    element.textContent =
      element.dataset.form === 'ago' ? ago(at) : at.toLocaleString('en-GB', FORMS[element.dataset.form]);
    element.title = whole;
  }
}

/** `3 hours ago`; what is longer ago than a week has its day. */
function ago(at) {
  const seconds = (Date.now() - at.getTime()) / 1000;
  if (seconds > LATELY_S || seconds < -60) return at.toLocaleString('en-GB', FORMS.date);
  const [unit, size] = SPANS.find(([, each]) => seconds >= each) ?? ['minute', 60];
  return seconds < 60 ? 'just now' : relative.format(-Math.floor(seconds / size), unit);
}
