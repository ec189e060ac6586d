// The words of the page: what tasks, states and events are called, what errors mean, and what to do about them.

export const TASKS = {
  "tags.compute": "Compute tags",
  "workers.bookings_export": "Export bookings",
  "workers.payments_export": "Export payments",
  "workers.users_export": "Export users",
  "workers.services_export": "Export services",
  "workers.data_cleanup": "Clean data",
  "workers.data_analysis": "Analyse data",
  "workers.report_generation": "Report",
  "tasks.meta_publish": "Publish on Meta",
  "tasks.google_publish": "Publish on Google",
  "tasks.audience_sync": "Sync an audience",
  "tasks.audience_removal": "Remove an audience",
  "tasks.person_removal": "Remove a person",
  "tasks.segment_train": "Train segments",
  "tasks.segment_predict": "Predict segments",
  "export.documents": "Export documents",
  "export.arrivals": "Add arrivals",
  "celery_task.domain_task": "Survey domains",
  "celery_task.ip_task": "Survey addresses",
  "celery_task.run_risk_cruising": "Check sites for risks",
  "celery_task.domain_task_sync_task": "Sync into a scope",
  "celery_task.fofa_task": "Ask Fofa",
  "celery_task.domain_exec_task": "Watch domains",
  "celery_task.ip_exec_task": "Watch addresses",
  "celery_task.github_task_task": "Search public code",
  "celery_task.github_task_monitor": "Watch public code",
  "celery_task.asset_site_update": "Look at sites again",
  "celery_task.add_asset_site_task": "Add sites",
  "celery_task.asset_wih_update": "Read scripts of sites",
};

export const FRONTS = {
  tags: "Tags",
  workers: "Workers",
  tasks: "Campaigns, audiences, segments",
  export: "Documents",
  celery_task: "Own assets",
};

export function taskName(task) {
  return TASKS[task] ?? plain((task ?? "").split(".").slice(1).join(".") || task || "Unknown");
}

export const plain = (name) => {
  const text = String(name).replaceAll("_", " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
};

export const STATUS = {
  PENDING: "Queued",
  STARTED: "Running",
  RETRY: "Waiting",
  SUCCESS: "Done",
  FAILURE: "Failed",
  REVOKED: "Cancelled",
};
export const FINAL = new Set(["SUCCESS", "FAILURE", "REVOKED"]);

export function statusName(job) {
  if (job.parked) return "Parked";
  if (job.undoing) return "Undoing";
  return STATUS[job.status] ?? job.status;
}

export const EVENTS = {
  accepted: "Accepted",
  started: "An attempt began",
  progress: "Progress",
  retried: "The attempt ended without an outcome; another one follows",
  phase: "Phase",
  "cancel requested": "A cancel was asked for",
  undoing: "Taking back what it did outside",
  "looked again": "Looked again for what may have arrived outside",
  committed: "The effect is there",
  parked: "Parked: nobody could find out whether the effect is there",
  settled: "Settled by an admin",
  finished: "Ended",
};

const PHASES = {
  leer: "Read",
  entrenar: "Train",
  guardar: "Save",
  predecir: "Predict",
  calcular: "Compute",
  comparar: "Compare",
  quitar: "Remove",
  enviar: "Send",
  crear: "Create",
  comprobar: "Check",
  deshacer: "Undo",
};
export const phaseName = (name) => PHASES[name] ?? plain(name);

const CODES = {
  authentication_required:
    "The service asks for a token, and this one is none that it knows. It may have been revoked.",
  token_not_needed: "This service runs without tokens.",
  tokens_unavailable: "The service cannot check tokens now. Try again in a moment.",
  rate_limited: "Too many wrong tokens came from here. Wait a moment, then try again.",
  permission_denied: "Only an admin may do this.",
  right_needed: "Your token does not give you the right to do this. An admin can add it in the tokens file.",
  only_local: "Without tokens, this service answers only on its own machine.",
  job_not_found: "There is no such job: it may have expired, or it is somebody else's.",
  task_not_found: "There is no such job: it may have expired, or it is somebody else's.",
  already_finished: "It had already ended, or was past its point of no return.",
  not_retryable: "It cannot be repeated as it is.",
  queue_full: "The queue is full. Try again in a moment.",
  owner_queue_full: "You already have as many jobs waiting as you may. Try again when some have ended.",
  store_unavailable: "The job store does not answer. Nothing is lost; try again in a moment.",
  shutting_down: "The service is stopping. Try again in a moment.",
  not_ready: "The data cannot be read yet: Spark is still starting, or the storage is slow. Try again in a moment.",
  transient: "This cannot be read now. Try again in a moment.",
  pushes_full: "The service has as many open pages as it may.",
  key_reused: "This was asked for before in another way.",
  result_not_ready: "There is no result yet.",
  no_result: "There is no result, and there will be none.",
};

export function inWords(status, code, text) {
  if (code !== null && CODES[code]) return CODES[code];
  if (status === 503)
    return text ? `${text.replace(/[.\s]*$/, "")}. Try again in a moment.` : "The service cannot do this now. Try again in a moment.";
  return text || `The service answered ${status}.`;
}

const ADVICE = [
  [
    /^TimedOut/,
    "It took longer than an attempt may. Ask for less at once, or have an admin raise TAGAPI_JOBS__TIMEOUT_SECONDS; then retry.",
  ],
  [
    /lost its process|recover/i,
    "Its process died under it more often than is allowed. Look at the service's memory and its log, then retry.",
  ],
  [
    /^NotUndone|left|quedó/i,
    "Part of what it did outside could not be taken back: the error names it. Remove that by hand.",
  ],
  [
    /cannot be read|missing|unreadable|no se puede leer|could not be read|does not exist|not found|path/i,
    "A source could not be read. See that the table is there and readable under Settings → data, then retry.",
  ],
  [/^Transient|^Busy|^Contended/, "Something was away or in use, again and again. Retry once it is back."],
  [
    /no se ha calculado|todavía no/i,
    "Something has to be there first. Run the tag, or the prediction, that the error names, then retry.",
  ],
  [
    /credit|UsedUp/i,
    "The month's credits are used up. What was copied stays; the rest can be copied next month, by a retry.",
  ],
  [/scope|授权/i, "The scope file does not authorise this. An admin can widen it; then retry."],
  [/^TaskFailed/, "The task looked at what it was asked to do and could not. Mend what the error names, then retry."],
];

/** What somebody can do about a job's error. */
export function advice(cause) {
  const found = ADVICE.find(([pattern]) => pattern.test(cause ?? ""));
  return found
    ? found[1]
    : "Retry it: that makes a new job with the same arguments. If it fails again, the service's log has the whole story under this job's id.";
}

/** An error without the name of its kind, which is for who looks into it. */
export const reason = (cause) => (cause ?? "").replace(/^[A-Z][A-Za-z]+: /, "");

const STOPPED = {
  export: "It has stopped. What it had copied until then stays in the collector.",
  "tasks.meta_publish": "It has stopped, and what it had made on Meta has been taken back.",
  "tasks.google_publish": "It has stopped, and what it had made on Google has been taken back.",
  "tasks.audience_sync": "It has stopped. What had been sent is known, and the next sync goes on from there.",
};

/** What a cancel that worked has done. */
export function stopped(task) {
  return STOPPED[task] ?? STOPPED[(task ?? "").split(".")[0]] ?? "It has stopped, and nothing was written.";
}
