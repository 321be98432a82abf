import { type LoopbackSite, serveSite } from './loopback-site.ts';

/** A small site of forms, a table, a frame and a page that shows a fresh reference. */
export function serveBookings(): Promise<LoopbackSite> {
  let made = 10_000;
  return serveSite({
    '/': '<h1>Home</h1><a href="/form">New booking</a>',
    '/form': `<h1>Book</h1><form id="booking" action="/done">
<label>Guest <input name="guest"></label> <label for="code">Code</label> <input id="code" type="password">
<label>Room <select name="room"><option value="s">Small</option><option value="l">Large</option></select></label>
<fieldset><legend>Meal</legend><label><input type="radio" name="meal" value="veg"> Veggie</label>
<label><input type="radio" name="meal" value="meat"> Meat</label></fieldset>
<label><input type="checkbox" name="late"> Late arrival</label>
<iframe src="/terms"></iframe> <button>Book now</button></form>
<table><tr><td>Bike</td><td><button type="button" onclick="this.textContent = 'Added'">Add</button></td></tr>
<tr><td>Boat</td><td><button type="button" onclick="this.textContent = 'Added'">Add</button></td></tr></table>`,
    '/terms': `<button onclick="this.textContent = 'Accepted'">Accept terms</button>`,
    '/done': (request, response) => {
      const { searchParams } = new URL(request.url ?? '/', 'http://site.test');
      const told = ['guest', 'room', 'meal', 'late'].map((name) => searchParams.get(name)).join(' ');
      made += 1;
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(
        `<h1>Thanks, ${searchParams.get('guest')}</h1><p id="told">${told}</p><code id="ref">BK-${made}</code>`,
      );
    },
    '/echo': `<form onsubmit="echoed.textContent = 'Forget ' + code.value; return false">
<label>Code <input id="code" type="password"></label><button>Send</button></form><button id="echoed"></button>`,
  });
}

/** One page that a script draws: a list that grows late, addresses made by the script, a dialog, a token that comes late. */
export function serveBoard(): Promise<LoopbackSite> {
  return serveSite({ '/board': `<div id="app"></div><script>${BOARD}</script>` });
}

const BOARD = `
const app = document.getElementById('app');
const items = [];
const listed = (text) => '<li class="item"><span>' + text + '</span> <label><input type="checkbox"> Done</label> <button class="open">Open</button></li>';
function list() {
  app.innerHTML = '<h1>Board</h1><input placeholder="New item"> <button class="add">Add</button><ul>' + items.map(listed).join('') + '</ul>';
  app.querySelector('.add').onclick = () => { const text = app.querySelector('input').value; setTimeout(() => { items.push(text); list(); }, 150); };
  app.querySelectorAll('.open').forEach((button, i) => { button.onclick = () => { history.pushState({}, '', '/board/' + (10000 + i)); detail(i); }; });
}
function detail(i) {
  app.innerHTML = '<h1>' + items[i] + '</h1><button class="key">Create token</button><dialog><p>Sure?</p><button class="yes">Yes</button></dialog><output></output>';
  app.querySelector('.key').onclick = () => app.querySelector('dialog').showModal();
  app.querySelector('.yes').onclick = () => {
    app.querySelector('dialog').close();
    setTimeout(() => { app.querySelector('output').textContent = 'tok_' + Array.from({ length: 12 }, () => Math.floor(Math.random() * 16).toString(16)).join(''); }, 150);
  };
}
list();`;
