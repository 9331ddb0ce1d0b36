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
export const CONNECT_DURATION_MS = "leastwise.connect.duration_ms";

/** Event: a new connection to the backend was made for this attempt. */
export const EVENT_CONNECTED = "leastwise.connected";
/** Event: the head of the backend's response has arrived. */
export const EVENT_FIRST_BYTE = "leastwise.first_byte";
