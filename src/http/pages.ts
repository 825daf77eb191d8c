import helmet from '@fastify/helmet'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

/** What the pages need, and nothing else: files of their own, and images that Swagger UI has inside its style sheet. */
const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:'],
    fontSrc: ["'self'", 'data:'],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"]
  }
}

/**
 * What a browser shows, with the headers that keep other sites out of it. They stay on the pages: the API has none of them,
 * and does not pay for them.
 */
export async function servePages(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: CONTENT_SECURITY_POLICY,
    // It binds the whole host, whose other ports may have no TLS: whoever stands before the server decides.
    strictTransportSecurity: false
  })
  // Serialised once: it takes milliseconds, in which nobody else is served.
  let text: Buffer | undefined
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiHooks: {
      onRequest: (request, reply, done) => {
        if (request.routeOptions.url !== '/docs/json') return done()
        text ??= Buffer.from(JSON.stringify(app.swagger()))
        reply.type('application/json; charset=utf-8').send(text)
      }
    },
    uiConfig: {
      tryItOutEnabled: true,
      displayRequestDuration: true,
      docExpansion: 'list',
      deepLinking: true,
      layout: 'BaseLayout',
      // It would show the document to a server elsewhere.
      validatorUrl: null
    }
  })
}
