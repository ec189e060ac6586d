// Asked for once, where the service asks for a token; kept in this session alone.

import { html, notice } from "../parts.js";

export function signIn(comeIn, refusal) {
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(event.target)
      .get("token")
      .trim()
      .replace(/^bearer +/i, "");
    if (given) comeIn(given);
  };
  return html`<main tabindex="-1" class="alone">
    <form class="signin" @submit=${submit}>
      <h1><span class="mark" aria-hidden="true"></span>tagapi</h1>
      <p>This service asks who you are. Paste your token; it is kept until you close this tab, and nowhere else.</p>
      ${notice(refusal?.message, "bad")}
      <label for="token">Token</label>
      <input
        id="token"
        name="token"
        type="password"
        required
        autocomplete="off"
        spellcheck="false"
        maxlength="600"
        placeholder="tagapi_…"
        autofocus
      />
      <button>Come in</button>
      <p class="hint">An admin makes one with <code>python -m tagapi.auth new NAME</code>.</p>
    </form>
  </main>`;
}
