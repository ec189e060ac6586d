// What is drawn anew, and when: at most once a frame, however much has changed.

let draw = () => {};
let asked = false;

export function drawnBy(what) {
  draw = what;
}

export function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw();
  });
}

export const app = {
  who: null, // the answer of whoami; null until somebody is in
  refusal: null, // why nobody is in
  view: null, // what the address shows
  route: null,
  live: "connecting",
  old: false, // whether the service is of another release than this page
};
