/** README.txt of a package. */
export function readme(origin: string): string {
  return `Evidence from the audit log ${origin}

report.html         to read first; self-contained, prints well
controls.csv        criterion by criterion: what is shown, what speaks against it, what has to come from elsewhere
populations/        lists to draw samples from; each NAME.csv with NAME.spec.json: its query and control totals
samples/            the rows drawn with the seed, each with its story and Merkle inclusion proofs
exceptions.csv      what an auditor asks about; exceptions.spec.json has the queries
coverage/           for which time the log speaks: days, gaps, events by type, clock
log/                the signed checkpoint, the log's public key, proofs for the events
events/             the events themselves, as they were hashed. An entry of the log is one or more lines (one JSON
                    object each), an empty line ends it. Holds statements as they were sent: for verification, not
                    for upload forms
inputs/             what was given from outside, where anything was
manifest.json       SHA-256 of every file, and the parameters

Verify offline:     sallyport evidence verify THIS --vkey KEY
Leaf hash of an entry (RFC 6962): SHA-256 of a zero byte and the entry's lines, line feeds included.
`;
}
