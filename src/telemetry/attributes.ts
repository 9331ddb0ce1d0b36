/**
 * Names of span attributes and events.
 *
 * Those of the HTTP semantic conventions 1.44 (all stable) are written out here, so that a change
 * of a package never renames what other people's dashboards query.
 */
export const HTTP_REQUEST_METHOD = "http.request.method";
export const HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original";
export const HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count";
export const HTTP_RESPONSE_STATUS_CODE = "http.response.status_code";
export const HTTP_ROUTE = "http.route";
export const URL_FULL = "url.full";
export const URL_PATH = "url.path";
export const URL_QUERY = "url.query";
export const URL_SCHEME = "url.scheme";
export const SERVER_ADDRESS = "server.address";
export const SERVER_PORT = "server.port";
export const CLIENT_ADDRESS = "client.address";
export const NETWORK_PEER_ADDRESS = "network.peer.address";
export const NETWORK_PEER_PORT = "network.peer.port";
export const NETWORK_PROTOCOL_VERSION = "network.protocol.version";
export const USER_AGENT_ORIGINAL = "user_agent.original";
export const ERROR_TYPE = "error.type";

/** Value of `http.request.method` for a method outside the known ones. */
export const METHOD_OTHER = "_OTHER";

/** Ours: the conventions have nothing for load balancers. */
export const POOL = "leastwise.pool";
export const BACKEND_ID = "leastwise.backend.id";
/** Requests in flight at the backend when it was picked, this one not counted. */
export const BACKEND_IN_FLIGHT = "leastwise.backend.in_flight";
export const STRATEGY = "leastwise.strategy";
export const STRATEGY_VERSION = "leastwise.strategy.version";
/** How many backends the strategy could choose from. */
export const CANDIDATES = "leastwise.candidates";
/** True when least connections answered because the strategy could not. */
export const FALLBACK = "leastwise.fallback";
/** True when the client's session is at that backend, so that the strategy was not asked; else absent. */
export const AFFINITY = "leastwise.affinity";
export const CONNECT_DURATION_MS = "leastwise.connect.duration_ms";

/** Event: a new connection to the backend was made for this attempt. */
export const EVENT_CONNECTED = "leastwise.connected";
/** Event: the head of the backend's response has arrived. */
export const EVENT_FIRST_BYTE = "leastwise.first_byte";
/** Event: the backend had closed the idle connection, and the request went out again over a fresh one. */
export const EVENT_RECONNECTING = "leastwise.reconnecting";
/** Event of the request: the retry budget did not allow another attempt. */
export const EVENT_RETRY_REFUSED = "leastwise.retry_refused";
/** Event: why that backend and no other. */
export const EVENT_DECISION = "leastwise.decision";

/** Microseconds that the strategy took to pick. */
export const PICK_DURATION_US = "leastwise.pick.duration_us";
/** How many of the pool's backends were ejected. */
export const EJECTED_COUNT = "leastwise.ejected_count";
/** What became of the attempt before: `connect`, `reset`, `timeout` or `status`. */
export const RETRY_REASON = "leastwise.retry.reason";

/** Of the event: the candidates' ids, the best first if there are scores; the next two go with it. */
export const DECISION_CANDIDATES = "leastwise.decision.candidates";
/** Requests in flight at each candidate before this one. */
export const DECISION_IN_FLIGHT = "leastwise.decision.in_flight";
/** Lower is better; absent when the strategy picks without scores. */
export const DECISION_SCORES = "leastwise.decision.scores";
/** Instead of the scores, in words: why there are none. */
export const DECISION_NO_SCORES = "leastwise.decision.no_scores";
/** `id reason` of each backend that was no candidate: `down`, `ejected`, `draining`, `full`, `tried` or `backup`. */
export const DECISION_EXCLUDED = "leastwise.decision.excluded";
/** More than one candidate had the lowest score. */
export const DECISION_TIE = "leastwise.decision.tie";
/** All backends were ejected, and requests are sent anyway. */
export const DECISION_FAIL_OPEN = "leastwise.decision.fail_open";
/** How many backends are missing in the lists because these would be too long. */
export const DECISION_LEFT_OUT = "leastwise.decision.left_out";

/** Before the names of attributes and events that a strategy makes itself. */
export const STRATEGY_OWN = "leastwise.plugin.";
