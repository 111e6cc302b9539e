import { AiosError } from '../kernel/errors.ts';

/**
 * The bytes of a member of a body that is base64. Node leaves out what it does not know: bytes that nobody sent would be kept, or called a broken file.
 *
 * @param path of the member, as a JSON Pointer
 * @throws AiosError `request.invalid`
 * @example bytesOfBase64('aGk=', '/contentBase64') // the bytes of “hi”
 */
export function bytesOfBase64(text: string, path: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') === text) return bytes;
  throw new AiosError('request.invalid', {
    issues: [
      {
        path,
        message: 'not base64',
        expected: 'RFC 4648, section 4: + and /, with its padding, in one line, without “data:…,” before it',
      },
    ],
  });
}
