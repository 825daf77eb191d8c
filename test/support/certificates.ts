import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Makes a certificate for localhost that signs itself, and its key, in two files of this folder. Needs openssl. */
export function makeCertificate(
  folder: string,
  name: string,
  keyOptions = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
): { cert: string; key: string } {
  const files = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const request = ['req', '-x509', '-nodes', '-days', '2', ...keyOptions, ...subject]
  execFileSync('openssl', [...request, '-keyout', files.key, '-out', files.cert], { stdio: 'pipe' })
  return files
}
