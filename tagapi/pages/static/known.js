// What is known of the tags: read once for all views, and anew when a job over tags ends.

import { read } from "./api.js";
import { redraw } from "./state.js";

/** HighNetWorthUserTask → High net worth. */
export function tagName(tag) {
  const words = tag.task_class
    .replace(/(User)?Task$/, "")
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .split(" ");
  return words.map((word, place) => (place === 0 || word === word.toUpperCase() ? word : word.toLowerCase())).join(" ");
}

let named = null; // what the tags are called, by their numbers

/** What a tag is called; its number, while nobody has told more. */
export function nameOf(id) {
  if (named === null) {
    named = new Map();
    read("/api/v1/tags/available").then(
      ({ available_tags: tags }) => {
        named = new Map(tags.map((tag) => [tag.tag_id, tagName(tag)]));
        redraw();
      },
      () => {
        named = null;
      },
    );
  }
  return named?.get(id) ?? `Tag ${id}`;
}

/** Every tag with its rule, its members and its last run; what cannot be read of one is told in its place. */
export async function readTags() {
  const { available_tags: available } = await read("/api/v1/tags/available");
  return Promise.all(
    available.map(async (tag) => {
      try {
        return { ...tag, ...(await read(`/api/v1/tags/${tag.tag_id}`)).tag };
      } catch (error) {
        return { ...tag, rule: null, members: null, last_run: null, error };
      }
    }),
  );
}

/** The runs of a tag over everyone that are kept, oldest first: each with what it found. */
export async function history(tagId, most = 40) {
  const { tasks } = await read("/api/v1/tasks", { tag_id: tagId, status: "completed", page_size: most });
  const runs = await Promise.all(
    tasks.map(async ({ task_id: id }) => {
      const { status } = await read(`/api/v1/tasks/${id}/status`).catch(() => ({ status: null }));
      const found = status?.result?.tags?.find((one) => one.tag_id === tagId);
      if (!found || status.dry_run) return null;
      return {
        id,
        at: status.completed_at,
        mode: status.mode,
        some: status.user_ids !== null,
        members: found.matched_users,
        added: found.added,
        removed: found.removed,
      };
    }),
  );
  return runs.filter(Boolean).reverse();
}
