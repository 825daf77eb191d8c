import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'

/** Paths of files in PEM. */
export interface CertificateFiles {
  /** The certificate, and those between it and the authority, in this order. */
  cert: string
  key: string
}

export interface Certificate {
  cert: Buffer
  key: Buffer
}

/** Thrown with a line for each file that is wrong, which it names. */
export class WrongCertificate extends Error {
  constructor(wrong: readonly string[]) {
    super(wrong.join('\n'))
  }
}

/** Reads a certificate with its key, and makes sure that they can serve. */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const wrong: string[] = []
  const told = async <T>(path: string, what: string, make: (pem: Buffer) => T): Promise<[Buffer, T] | undefined> => {
    try {
      const pem = await readFile(path)
      return [pem, make(pem)]
    } catch (error) {
      const { syscall, message } = error as NodeJS.ErrnoException
      // Of a file's own text nothing is told.
      wrong.push(syscall === undefined ? `${path} has no ${what}` : message)
      return undefined
    }
  }
  const [cert, key] = [
    await told(files.cert, 'certificate in PEM that can be read', pem => new X509Certificate(pem)),
    await told(files.key, 'private key in PEM without a passphrase', pem => createPrivateKey(pem))
  ]
  if (cert === undefined || key === undefined) throw new WrongCertificate(wrong)
  if (!cert[1].checkPrivateKey(key[1])) {
    throw new WrongCertificate([`${files.key} is not the key of the certificate in ${files.cert}`])
  }
  const pair = { cert: cert[0], key: key[0] }
  try {
    createSecureContext(pair)
  } catch {
    throw new WrongCertificate([`${files.cert} with ${files.key} can not serve TLS`])
  }
  return pair
}
