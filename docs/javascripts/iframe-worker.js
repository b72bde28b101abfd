// Browsers refuse workers on pages that are opened from a disk. The theme's search runs as one: this runs its script in a
// hidden frame instead, with the same messages. Without it there is no search box on such pages.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc =
        "<body><script>self.postMessage = data => parent.postMessage(data, '*');" +
        "self.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((done, failed) => {" +
        "const script = document.createElement('script'); script.src = url; script.onload = done; script.onerror = failed;" +
        "document.body.appendChild(script); })), Promise.resolve());</" + "script>" +
        `<script src="${new URL(url, location.href)}"></` + "script></body>";
      this.loaded = new Promise(done => frame.addEventListener("load", () => done(frame.contentWindow)));
      window.addEventListener("message", event => {
        if (event.source === frame.contentWindow) {
          this.dispatchEvent(new MessageEvent("message", { data: event.data }));
        }
      });
      document.body.appendChild(frame);
    }

    postMessage(data) {
      this.loaded.then(there => there.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {}
  };
  window.Worker = window.IFrameWorker;
}
