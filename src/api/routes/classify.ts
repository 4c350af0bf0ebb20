import { classifySection } from '../../client/classify-section.ts';
import { proposal, proposalQuestion } from '../../client/schema.ts';
import { denied } from '../access.ts';
import type { Routes } from '../api.ts';
import { callerOf } from '../authenticate.ts';

/** What to classify at a target is asked by whoever may configure: it has the gateway read from every table it may. */
export const classifyRoutes: Routes = (app, { admin, access }) => {
  const schema = {
    summary: 'What should be classified at a target, by names and a sample of values; changes nothing, shows no value',
    body: proposalQuestion,
    response: { 200: proposal },
  };
  app.post('/v1/targets/classify', { config: { access: 'caller' }, schema }, async (request) => {
    const caller = callerOf(request);
    if (!access.configure(caller)) throw denied('have a target looked at for what should be classified', 'configure');
    const { target, minConfidence } = request.body;
    const found = await admin.targets.propose(target, caller);
    const entries = found.entries.filter(({ confidence }) => confidence >= minConfidence);
    return { ...found, entries, below: found.entries.length - entries.length, section: classifySection(entries) };
  });
};
