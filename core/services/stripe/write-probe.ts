import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { HttpResponse } from '../../ports/http.ts';
import { parsed } from '../answers.ts';
import { levelOf, OUTSIDE, RESOURCES, type Resource } from './resources.ts';

const errorSchema = z.object({ error: z.object({ code: z.string() }) });

/** A change of nothing to an object that there is not: a key that may write is told so, one that may not is refused. */
function changeOf({ path }: Pick<Resource, 'path'>): string {
  return `${path.replace(/\?.*$/, '')}/countersign_${randomBytes(16).toString('hex')}`;
}

/**
 * What no key here may change: where this is not refused before it is looked for, the answers to other changes say nothing of
 * what a key may do. (That Stripe looks at the permissions first is nowhere documented.)
 */
export function control(): string {
  return changeOf(OUTSIDE.find(({ words }) => words === 'transfers') ?? { path: '/v1/transfers' });
}

export function isMissing({ status, body }: HttpResponse): boolean {
  return status === 404 && errorSchema.safeParse(parsed(body)).data?.error.code === 'resource_missing';
}

export interface WriteProbe {
  readonly words: string;
  readonly path: string;
  readonly isWanted: boolean;
}

/**
 * The changes that tell whether a key may do what was consented to, and no more. What it may not even read, it can't change;
 * what another row gives to read, or to change, too, proves no excess.
 */
export function writeProbes(permissions: readonly string[]): readonly WriteProbe[] {
  const levels = new Map(RESOURCES.map((resource) => [resource.id, levelOf(resource, permissions)]));
  return RESOURCES.flatMap((resource) => {
    const level = levels.get(resource.id);
    const implier = levels.get(resource.impliedBy ?? '') ?? 'none';
    const isSilent = level !== 'write' && (implier === 'write' || (level === 'none' && implier === 'none'));
    if (!resource.writes || isSilent) return [];
    return [{ words: resource.writes.words, path: changeOf(resource), isWanted: level === 'write' }];
  });
}
