import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Attachment } from '../tasks/attachments.ts';
import type { Tasks } from '../tasks/tasks.ts';
import { bytesOfBase64 } from './base64.ts';
import { route } from './routes.ts';
import { IdParams, iso, pageOf } from './shapes.ts';

const AttachmentShape = Type.Object({
  id: Type.String(),
  name: Type.String(),
  mediaType: Type.String(),
  digest: Type.String(),
  sizeBytes: Type.Integer(),
  at: Type.String({ format: 'date-time' }),
  by: Type.String(),
  byId: Type.String(),
});
const NewAttachment = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    mediaType: Type.String({ minLength: 1, description: 'application/pdf, image/png, text/csv …' }),
    contentBase64: Type.String(),
  },
  { additionalProperties: false },
);
const tag = 'tasks';

/** Files beside tasks: added by those who act on them, handed out to be saved and never to be shown. */
export function taskAttachmentRoutes({ tasks }: { tasks: Tasks }): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/tasks/:id/attachments',
      permission: 'tasks.read',
      summary: 'The attachments of a task',
      tag,
      params: IdParams,
      answer: pageOf(AttachmentShape),
      handle: async ({ params }) => {
        const { id } = await tasks.get(params.id);
        return { items: (await tasks.attachments.list(id)).map(toJson), nextCursor: null };
      },
    });
    route(server, {
      method: 'POST',
      url: '/api/v1/tasks/:id/attachments',
      permission: 'tasks.act',
      summary: 'Attach a file; the same file under the same name is the same attachment',
      tag,
      params: IdParams,
      body: NewAttachment,
      answer: AttachmentShape,
      handle: async ({ params: { id }, body: { name, mediaType, contentBase64 }, caller }) => {
        const bytes = bytesOfBase64(contentBase64, '/contentBase64');
        return toJson(await tasks.attachments.add({ id, by: caller, name, mediaType, bytes }));
      },
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/tasks/:id/attachments/:attachment',
      permission: 'tasks.read',
      summary: 'An attachment of a task, as a download',
      tag,
      params: Type.Object({ id: Type.String({ minLength: 1 }), attachment: Type.String({ minLength: 1 }) }),
      handle: async ({ params, reply }) => {
        const { bytes, name, mediaType } = await tasks.attachments.read(params.id, params.attachment);
        // Whatever the file holds, no browser runs it in our origin: it is saved, its type is not guessed (every answer says so), and what
        // shows it all the same gets no script, no form and no address of ours.
        return reply
          .header('content-type', mediaType)
          .header('content-disposition', disposition(name))
          .header('content-security-policy', "default-src 'none'; sandbox")
          .header('cross-origin-resource-policy', 'same-origin')
          .header('cache-control', 'private, no-store')
          .send(bytes);
      },
    });
  };
}

/** RFC 6266: the name in ASCII for old readers, and as it is (RFC 8187). */
function disposition(name: string): string {
  const ascii = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const exact = encodeURIComponent(name).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${exact}`;
}

function toJson({ taskId: _, by, at, ...attachment }: Attachment) {
  return { ...attachment, at: iso(at), by: by.name, byId: by.id };
}
