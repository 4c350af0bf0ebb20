import type { Masks } from '../../gateway/protocol.ts';
import { type BodyPlan, cut, unseen } from './body-plan.ts';
import { ClassifiedWords } from './classified-words.ts';
import { CsvMasker } from './csv-masker.ts';
import { FormMasker } from './form-masker.ts';
import { JsonMasker } from './json-masker.ts';
import { type BodyLimits, type BodyMasker, bodyLimits, type MaskerContext } from './masker.ts';
import { MultipartMasker } from './multipart-masker.ts';
import { PassedBody } from './passed-body.ts';
import {
  beginsLikeJson,
  type ChooseMasker,
  looksLikeMedia,
  looksLikeText,
  SniffingMasker,
  sniffed,
} from './sniffing-masker.ts';
import { SseMasker } from './sse-masker.ts';
import { TextMasker } from './text-masker.ts';
import { WatchedText } from './watched-text.ts';

/** What a masker has to know of a plan. */
export type MaskedBody = Pick<BodyPlan, 'kind' | 'type' | 'rules' | 'partial'>;

/**
 * The masker of one body. Throws Refusal MASK_IMPOSSIBLE for a body that cannot be looked at. Where rules apply, the type that a reply
 * claims is not trusted: what begins like JSON is read as JSON, and what cannot be searched for classified values is withheld.
 */
export function openBodyMasker(body: MaskedBody, masks: Masks, limits: BodyLimits = bodyLimits): BodyMasker {
  const context = { masks, limits };
  const { kind, rules } = body;
  switch (kind) {
    case 'json':
      return new JsonMasker(rules, context);
    case 'ndjson':
      return new JsonMasker(rules, context, 'lines');
    case 'json-seq':
      return new JsonMasker(rules, context, 'sequence');
    case 'sse':
      return unlessJson(body, context, () => new SseMasker(rules, context));
    case 'form':
      return unlessJson(body, context, () => new FormMasker(rules, context));
    case 'csv':
    case 'tsv': {
      const headless = body.type?.parameters.get('header')?.toLowerCase() === 'absent';
      return unlessJson(body, context, () =>
        rules.list.length === 0
          ? new TextMasker(context)
          : new CsvMasker(rules, context, { headless, tabs: kind === 'tsv' }),
      );
    }
    case 'multipart':
      return new MultipartMasker(body, context, openBodyMasker);
    case 'text':
      return unlessJson(body, context, (begin) => {
        if (rules.list.length > 0 && !looksLikeText(begin)) throw unseen(body.type);
        return text(body, context);
      });
    case 'binary':
      if (rules.list.length > 0) throw unseen(body.type);
      return new PassedBody();
    default:
      return new SniffingMasker(byItsBytes(body, context));
  }
}

/** Where rules apply, JSON is JSON whatever it is called. */
function unlessJson(body: MaskedBody, context: MaskerContext, otherwise: (begin: Buffer) => BodyMasker): BodyMasker {
  if (body.rules.list.length === 0) return otherwise(Buffer.alloc(0));
  return new SniffingMasker((begin, complete) => {
    const json = beginsLikeJson(begin);
    if (json === undefined && !complete && begin.length < sniffed) return undefined;
    return json === true ? new JsonMasker(body.rules, context, 'lines') : otherwise(begin);
  });
}

function byItsBytes(body: MaskedBody, context: MaskerContext): ChooseMasker {
  const { kind, rules } = body;
  const ruled = rules.list.length > 0;
  return (begin, complete) => {
    if (!complete && begin.length < sniffed) return undefined;
    if (begin.length === 0) return new PassedBody();
    if (ruled && beginsLikeJson(begin) === true) return new JsonMasker(rules, context, 'lines');
    if (kind === 'media' && looksLikeMedia(begin)) return new PassedBody();
    if (looksLikeText(begin) && (ruled || wholeCharacters(begin))) {
      if (body.partial) throw cut();
      return text(body, context);
    }
    if (ruled) throw unseen(body.type);
    return new PassedBody();
  };
}

function text({ rules, type }: MaskedBody, context: MaskerContext): BodyMasker {
  if (rules.list.length === 0) return new TextMasker(context);
  if (rules.root.accepts !== undefined) throw unseen(type);
  return new WatchedText(new ClassifiedWords(rules.words), new TextMasker(context), type?.parameters.get('charset'));
}

/** Whether the bytes are UTF-8, but for a character cut off at the end. */
function wholeCharacters(begin: Buffer): boolean {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    decoder.decode(begin, { stream: true });
    return true;
  } catch {
    return false;
  }
}
