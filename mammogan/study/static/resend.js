// What both series of pictures need of a network that comes and goes: pictures are fetched once, and what was
// decided is sent again until the server has it. Sending twice is safe, the server keeps the first.
import {bytes} from "./viewer.js";

export const RETRY_MS = 1500;

export const by = (id) => document.getElementById(id);

export const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Show a text in the page's alert line; none hides it. */
export const say = (text) => { by("alert").textContent = text; by("alert").hidden = !text; };

/** Pictures by their addresses, each `length` bytes, fetched once as long as they are wanted. */
export class Pictures {
  #coming = new Map();

  constructor(length) { this.length = length; }

  get(url) {
    if (!this.#coming.has(url)) {
      const coming = bytes(url, this.length);
      coming.catch(() => this.#coming.delete(url));
      this.#coming.set(url, coming);
    }
    return this.#coming.get(url);
  }

  /** Forget all but these. */
  keepOnly(urls) { for (const url of this.#coming.keys()) if (!urls.includes(url)) this.#coming.delete(url); }

  /** Fetch ahead; whatever fails is tried again once it is needed. */
  prefetch(urls) { for (const url of urls) if (url) this.get(url).catch(() => {}); }
}

/** Whether a picture did not come because this page is no more the one that is due. */
export const isOver = (error) => /\((403|404)\)/.test(error.message);

/** Post a form until the server answers, whole, and with anything but a failure of its own; `what` is sent. */
export async function post(url, body, what) {
  for (;;) {
    try {
      const answer = await fetch(url, {method: "POST", body, credentials: "same-origin"});
      if (answer.status < 500) return {ok: answer.ok, url: answer.url, text: await answer.text()};
    } catch { /* nobody answers, or not to the end: the same again */ }
    say(`No connection. Your ${what} is sent again until it arrives; please leave this page open.`);
    await pause(RETRY_MS);
  }
}
