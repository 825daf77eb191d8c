import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyHttpOptions } from 'fastify'

/** The whole of a request, from its first byte to its last: 4 MiB in 30 s are 1.1 Mbit/s. Waiting for an answer does not count. */
const REQUEST_TIMEOUT_MS = 30_000
/** Headers are a packet or two; ten seconds outlast three retransmissions. Counted from the connection on. */
const HEADERS_TIMEOUT_MS = 10_000
const TIMEOUT_CHECK_MS = 1000
/** Longer than the 60 s after which load balancers drop what is idle: of two that close, the server should not be first. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000
/**
 * On a connection on which nothing moves for that long nobody reads the answers. Twice as long as the longest wait for a
 * key; streams of events have to say something more often.
 */
const SILENCE_TIMEOUT_MS = 120_000
/**
 * Two pools full of waiting callers. Idle, each takes about 10 kB and a file descriptor: where the process may have
 * fewer of these, that limit comes first, and what is beyond is closed by either at once.
 */
const MAX_CONNECTIONS = 20_000

/**
 * How long Node waits for what. The number of requests on a connection is not bounded: the last one before the end would
 * have to be told so, and whoever pipelines would lose those behind it.
 */
export function connectionOptions(
  requestTimeoutMs = REQUEST_TIMEOUT_MS
): Pick<FastifyHttpOptions<Server>, 'requestTimeout' | 'keepAliveTimeout' | 'connectionTimeout' | 'http'> {
  return {
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    connectionTimeout: SILENCE_TIMEOUT_MS,
    http: {
      // Node would answer without a body: see guardEdge.
      requireHostHeader: false,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      // Where that of the headers is the longer one, Node exchanges the two.
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, requestTimeoutMs)
    }
  }
}

/**
 * Node asks the system for the address of a connection when somebody wants it, and remembers the answer. By then the
 * connection may have been reset, and have none: its caller would be unknown to the audit trail and to the rate.
 */
export function rememberAddresses(server: Server): void {
  for (const event of ['connection', 'secureConnection']) {
    server.on(event, (connection: Socket) => void connection.remoteAddress)
  }
}

export function limitConnections(server: Server): void {
  server.maxConnections = MAX_CONNECTIONS
}
