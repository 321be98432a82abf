/** @file Dictation, where the browser has it: what was heard goes into the composer, and is never sent by itself. */

import { setStatus } from './dom.js';

export function offerSpeech(button, text, onText) {
  const Recognition = window.SpeechRecognition ?? window.webkitSpeechRecognition;
  if (!Recognition) return;
  button.hidden = false;
  let recognition;

  function stop() {
    recognition?.stop();
  }

  function start() {
    const before = text.value === '' ? '' : `${text.value.trimEnd()} `;
    recognition = new Recognition();
    recognition.lang = navigator.language;
    recognition.interimResults = true;
    recognition.addEventListener('start', () => {
      button.setAttribute('aria-pressed', 'true');
      setStatus('Listening…');
    });
    recognition.addEventListener('result', ({ results }) => {
      text.value = before + [...results].map(([best]) => best.transcript).join('');
      onText();
    });
    recognition.addEventListener('error', ({ error }) => {
      const isRefused = error === 'not-allowed' || error === 'service-not-allowed';
      setStatus(isRefused ? 'The browser does not allow the microphone here.' : 'Nothing was heard. Please try again.');
      recognition = undefined;
    });
    recognition.addEventListener('end', () => {
      button.setAttribute('aria-pressed', 'false');
      if (recognition) setStatus('Please check the words, then send.');
      recognition = undefined;
      text.focus();
    });
    recognition.start();
  }

  button.addEventListener('click', () => (recognition ? stop() : start()));
}
