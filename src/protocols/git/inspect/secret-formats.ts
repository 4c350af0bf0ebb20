/**
 * Credentials that can be told by how they begin. `prefixes` are what the search looks for, literally; `format` then has to match there
 * and names what is secret as its last group, or is all secret. Every repetition is bounded, so a look costs no more than its bounds.
 */
export interface SecretFormat {
  readonly rule: string;
  readonly prefixes: readonly string[];
  /** Sticky. */
  readonly format: RegExp;
  /** What may stand directly before: nothing alphanumeric, unless the prefix is in the middle of the secret. */
  readonly within?: boolean;
  /** A last look at what matched. */
  readonly accept?: (secret: string) => boolean;
}

const mixed = (text: string): boolean => /\d/.test(text) && /[a-z]/i.test(text);
const varied = (text: string): boolean => new Set(text).size >= 8;
const both = (text: string): boolean => mixed(text) && varied(text);

/** Formats as their issuers document them. */
export const secretFormats: readonly SecretFormat[] = [
  {
    rule: 'github-token',
    prefixes: ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'],
    format: /gh[pousr]_[A-Za-z0-9]{36,255}/y,
    accept: varied,
  },
  { rule: 'github-token', prefixes: ['github_pat_'], format: /github_pat_[A-Za-z0-9_]{22,255}/y, accept: both },
  {
    rule: 'gitlab-token',
    prefixes: ['glpat-', 'gldt-', 'glrt-', 'glcbt-', 'glptt-', 'glft-', 'glsoat-', 'glimt-', 'glagent-', 'gloas-'],
    format: /gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-[A-Za-z0-9_-]{20,255}/y,
    accept: both,
  },
  {
    rule: 'aws-access-key',
    prefixes: ['AKIA', 'ASIA'],
    format: /A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])/y,
    accept: (text) => varied(text) && !text.endsWith('EXAMPLE'),
  },
  { rule: 'gcp-api-key', prefixes: ['AIza'], format: /AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/y, accept: both },
  { rule: 'gcp-oauth-secret', prefixes: ['GOCSPX-'], format: /GOCSPX-[A-Za-z0-9_-]{28}/y, accept: varied },
  { rule: 'gcp-access-token', prefixes: ['ya29.'], format: /ya29\.[A-Za-z0-9_-]{40,1024}/y, accept: both },
  {
    rule: 'azure-storage-key',
    prefixes: ['AccountKey='],
    format: /AccountKey=([A-Za-z0-9+/]{86}==)/y,
    accept: (text) => varied(text) && !text.startsWith('Eby8vdM02xNO'), // the storage emulator's, published by its maker
  },
  {
    rule: 'azure-shared-access-key',
    prefixes: ['SharedAccessKey='],
    format: /SharedAccessKey=([A-Za-z0-9+/]{43}=)/y,
    accept: varied,
  },
  {
    rule: 'azure-shared-access-signature',
    prefixes: ['sig='],
    format: /sig=([A-Za-z0-9%+/]{40,120}(?:%3[Dd]|=))/y,
    accept: both,
  },
  {
    rule: 'azure-client-secret',
    prefixes: ['Q~'],
    format: /(?<=(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}\d)Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])/y,
    within: true,
    accept: varied,
  },
  {
    rule: 'slack-token',
    prefixes: ['xoxa-', 'xoxb-', 'xoxe-', 'xoxo-', 'xoxp-', 'xoxr-', 'xoxs-', 'xapp-'],
    format: /x(?:ox[abeoprs]|app)-[A-Za-z0-9-]{20,255}/y,
    accept: both,
  },
  {
    rule: 'slack-webhook',
    prefixes: ['hooks.slack.com/'],
    format: /hooks\.slack\.com\/(?:services|workflows|triggers)\/([A-Za-z0-9/]{40,120})/y,
    accept: (text) => both(text) && !/X{6}|0{8}/.test(text),
  },
  {
    rule: 'stripe-key',
    prefixes: ['sk_live_', 'rk_live_'],
    format: /[sr]k_live_[A-Za-z0-9]{16,255}/y,
    accept: both,
  },
  { rule: 'stripe-webhook-secret', prefixes: ['whsec_'], format: /whsec_[A-Za-z0-9+/]{32,64}/y, accept: both },
  { rule: 'npm-token', prefixes: ['npm_'], format: /npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/y, accept: both },
  {
    rule: 'npm-token',
    prefixes: ['_authToken='],
    format: /_authToken=["']?([A-Za-z0-9_+/=-]{20,255})/y,
    within: true,
    accept: both,
  },
  { rule: 'pypi-token', prefixes: ['pypi-AgE'], format: /pypi-AgE[A-Za-z0-9_-]{60,400}/y, accept: both },
  {
    rule: 'openai-key',
    prefixes: ['sk-'],
    format:
      /sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{32,255}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|sk-[A-Za-z0-9]{40,64}(?![A-Za-z0-9_-])/y,
    accept: (text) => both(text) && /[A-Z]/.test(text),
  },
  { rule: 'anthropic-key', prefixes: ['sk-ant-'], format: /sk-ant-[A-Za-z0-9_-]{24,255}/y, accept: both },
  {
    rule: 'sendgrid-key',
    prefixes: ['SG.'],
    format: /SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/y,
    accept: both,
  },
  { rule: 'twilio-key', prefixes: ['SK'], format: /SK[0-9a-f]{32}(?![A-Za-z0-9])/y, accept: both },
  { rule: 'huggingface-token', prefixes: ['hf_'], format: /hf_[A-Za-z0-9]{34}(?![A-Za-z0-9])/y, accept: varied },
  {
    rule: 'digitalocean-token',
    prefixes: ['dop_v1_', 'doo_v1_', 'dor_v1_'],
    format: /do[por]_v1_[a-f0-9]{64}/y,
    accept: both,
  },
  {
    rule: 'shopify-token',
    prefixes: ['shpat_', 'shpca_', 'shppa_', 'shpss_'],
    format: /shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}/y,
    accept: both,
  },
  { rule: 'docker-token', prefixes: ['dckr_pat_'], format: /dckr_pat_[A-Za-z0-9_-]{27}/y, accept: both },
  { rule: 'vault-token', prefixes: ['hvs.', 'hvb.'], format: /hv[sb]\.[A-Za-z0-9_-]{24,300}/y, accept: both },
  { rule: 'databricks-token', prefixes: ['dapi'], format: /dapi[a-f0-9]{32}(?![A-Za-z0-9])/y, accept: both },
  { rule: 'grafana-token', prefixes: ['glsa_'], format: /glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}/y, accept: both },
  { rule: 'new-relic-key', prefixes: ['NRAK-'], format: /NRAK-[A-Z0-9]{27}(?![A-Za-z0-9])/y, accept: both },
  { rule: 'linear-key', prefixes: ['lin_api_'], format: /lin_api_[A-Za-z0-9]{40}/y, accept: both },
  { rule: 'atlassian-token', prefixes: ['ATATT3'], format: /ATATT3[A-Za-z0-9_=-]{150,255}/y, accept: both },
  { rule: 'mailgun-key', prefixes: ['key-'], format: /key-[0-9a-f]{32}(?![A-Za-z0-9])/y, accept: both },
  {
    rule: 'telegram-token',
    prefixes: [':AA'],
    format: /(?<=(?<!\d)\d{8,10}):AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])/y,
    within: true,
    accept: varied,
  },
  {
    rule: 'discord-webhook',
    prefixes: ['/api/webhooks/'],
    format: /\/api\/webhooks\/\d{17,20}\/([A-Za-z0-9_-]{60,72})/y,
    within: true,
    accept: both,
  },
  { rule: 'age-key', prefixes: ['AGE-SECRET-KEY-1'], format: /AGE-SECRET-KEY-1[02-9A-Z]{58}/y, accept: varied },
  {
    rule: 'jwt',
    prefixes: ['eyJ'],
    format: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,2048}\.eyJ[A-Za-z0-9_-]{10,4096}\.[A-Za-z0-9_-]{16,1024}/y,
    accept: both,
  },
];
