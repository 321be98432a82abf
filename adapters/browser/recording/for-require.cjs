// The fixture, as hook.ts has loaded it: Playwright would compile it a second time for `require`.
module.exports = globalThis[Symbol.for('countersign.recording')];
