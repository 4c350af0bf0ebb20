/**
 * Which nodes the analysed tree of a planned statement may hold, and the fields of each, as outfuncs.c of PostgreSQL 14 to 18 writes
 * them. A field or node that is not here is one that nobody has thought about.
 */
export const nodeFields: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    QUERY: `commandType querySource canSetTag utilityStmt resultRelation hasAggs hasWindowFuncs hasTargetSRFs hasSubLinks
      hasDistinctOn hasRecursive hasModifyingCTE hasForUpdate hasRowSecurity hasGroupRTE isReturn cteList rtable rteperminfos
      jointree mergeActionList mergeUseOuterJoin mergeTargetRelation mergeJoinCondition targetList override onConflict
      returningOldAlias returningNewAlias returningList groupClause groupDistinct groupingSets havingQual windowClause
      distinctClause sortClause limitOffset limitCount limitOption rowMarks setOperations constraintDeps withCheckOptions
      stmt_location stmt_len`,
    RANGETBLENTRY: `alias eref rtekind relid inh relkind rellockmode perminfoindex tablesample lateral inFromCl requiredPerms
      checkAsUser selectedCols insertedCols updatedCols extraUpdatedCols securityQuals jointype joinmergedcols joinaliasvars
      joinleftcols joinrightcols join_using_alias subquery security_barrier values_lists coltypes coltypmods colcollations
      functions funcordinality tablefunc ctename ctelevelsup self_reference groupexprs`,
    RTEPERMISSIONINFO: 'relid inh requiredPerms checkAsUser selectedCols insertedCols updatedCols',
    RANGETBLFUNCTION: 'funcexpr funccolcount funccolnames funccoltypes funccoltypmods funccolcollations funcparams',
    RANGETBLREF: 'rtindex',
    JOINEXPR: 'jointype isNatural larg rarg usingClause join_using_alias quals alias rtindex',
    FROMEXPR: 'fromlist quals',
    ALIAS: 'aliasname colnames',
    TARGETENTRY: 'expr resno resname ressortgroupref resorigtbl resorigcol resjunk',
    COMMONTABLEEXPR: `ctename aliascolnames ctematerialized ctequery search_clause cycle_clause location cterecursive
      cterefcount ctecolnames ctecoltypes ctecoltypmods ctecolcollations`,
    CTESEARCHCLAUSE: 'search_col_list search_breadth_first search_seq_column location',
    CTECYCLECLAUSE: `cycle_col_list cycle_mark_column cycle_mark_value cycle_mark_default cycle_path_column location
      cycle_mark_type cycle_mark_typmod cycle_mark_collation cycle_mark_neop`,
    SETOPERATIONSTMT: 'op all larg rarg colTypes colTypmods colCollations groupClauses',
    SORTGROUPCLAUSE: 'tleSortGroupRef eqop sortop reverse_sort nulls_first hashable',
    GROUPINGSET: 'kind content location',
    WINDOWCLAUSE: `name refname partitionClause orderClause frameOptions startOffset endOffset runCondition startInRangeFunc
      endInRangeFunc inRangeColl inRangeAsc inRangeNullsFirst winref copiedOrder`,
    ROWMARKCLAUSE: 'rti strength waitPolicy pushedDown',
    ONCONFLICTEXPR:
      'action arbiterElems arbiterWhere constraint onConflictSet onConflictWhere exclRelIndex exclRelTlist',
    INFERENCEELEM: 'expr infercollid inferopclass',
    MERGEACTION: 'matched matchKind commandType override qual targetList updateColnos',
    MERGESUPPORTFUNC: 'msftype msfcollid location',
    RETURNINGEXPR: 'retlevelsup retold retexpr',
    WITHCHECKOPTION: 'kind relname polname qual cascaded',
    TABLESAMPLECLAUSE: 'tsmhandler args repeatable',
    TABLEFUNC: `functype ns_uris ns_names docexpr rowexpr colnames coltypes coltypmods colcollations colexprs coldefexprs
      colvalexprs passingvalexprs notnulls plan ordinalitycol location`,
    VAR: `varno varattno vartype vartypmod varcollid varnullingrels varlevelsup varreturningtype varnosyn varattnosyn location`,
    CONST: 'consttype consttypmod constcollid constlen constbyval constisnull location constvalue',
    PARAM: 'paramkind paramid paramtype paramtypmod paramcollid location',
    AGGREF: `aggfnoid aggtype aggcollid inputcollid aggtranstype aggargtypes aggdirectargs args aggorder aggdistinct aggfilter
      aggstar aggvariadic aggkind aggpresorted agglevelsup aggsplit aggno aggtransno location`,
    GROUPINGFUNC: 'args refs cols agglevelsup location',
    WINDOWFUNC: 'winfnoid wintype wincollid inputcollid args aggfilter runCondition winref winstar winagg location',
    SUBSCRIPTINGREF: `refcontainertype refelemtype refrestype reftypmod refcollid refupperindexpr reflowerindexpr refexpr
      refassgnexpr`,
    FUNCEXPR: 'funcid funcresulttype funcretset funcvariadic funcformat funccollid inputcollid args location',
    NAMEDARGEXPR: 'arg name argnumber location',
    OPEXPR: 'opno opfuncid opresulttype opretset opcollid inputcollid args location',
    DISTINCTEXPR: 'opno opfuncid opresulttype opretset opcollid inputcollid args location',
    NULLIFEXPR: 'opno opfuncid opresulttype opretset opcollid inputcollid args location',
    SCALARARRAYOPEXPR: 'opno opfuncid hashfuncid negfuncid useOr inputcollid args location',
    BOOLEXPR: 'boolop args location',
    SUBLINK: 'subLinkType subLinkId testexpr operName subselect location',
    FIELDSELECT: 'arg fieldnum resulttype resulttypmod resultcollid',
    FIELDSTORE: 'arg newvals fieldnums resulttype',
    RELABELTYPE: 'arg resulttype resulttypmod resultcollid relabelformat location',
    COERCEVIAIO: 'arg resulttype resultcollid coerceformat location',
    ARRAYCOERCEEXPR: 'arg elemexpr resulttype resulttypmod resultcollid coerceformat location',
    CONVERTROWTYPEEXPR: 'arg resulttype convertformat location',
    COLLATEEXPR: 'arg collOid location',
    CASEEXPR: 'casetype casecollid arg args defresult location',
    CASEWHEN: 'expr result location',
    CASETESTEXPR: 'typeId typeMod collation',
    ARRAYEXPR: 'array_typeid array_collid element_typeid elements multidims list_start list_end location',
    ROWEXPR: 'args row_typeid row_format colnames location',
    ROWCOMPAREEXPR: 'rctype cmptype opnos opfamilies inputcollids largs rargs',
    COALESCEEXPR: 'coalescetype coalescecollid args location',
    MINMAXEXPR: 'minmaxtype minmaxcollid inputcollid op args location',
    SQLVALUEFUNCTION: 'op type typmod location',
    XMLEXPR: 'op name named_args arg_names args xmloption indent type typmod location',
    JSONFORMAT: 'format_type encoding location',
    JSONRETURNING: 'format typid typmod',
    JSONVALUEEXPR: 'raw_expr formatted_expr format',
    JSONCONSTRUCTOREXPR: 'type args func coercion returning absent_on_null unique location',
    JSONISPREDICATE: 'expr format item_type unique_keys location',
    JSONBEHAVIOR: 'btype expr coerce location',
    JSONEXPR: `op column_name formatted_expr format path_spec returning passing_names passing_values on_empty on_error
      use_io_coercion use_json_coercion wrapper omit_quotes collation location`,
    JSONTABLEPATH: 'value name',
    JSONTABLEPATHSCAN: 'path errorOnError child colMin colMax',
    JSONTABLESIBLINGJOIN: 'lplan rplan',
    NULLTEST: 'arg nulltesttype argisrow location',
    BOOLEANTEST: 'arg booltesttype location',
    COERCETODOMAIN: 'arg resulttype resulttypmod resultcollid coercionformat location',
    SETTODEFAULT: 'typeId typeMod collation location',
    NEXTVALUEEXPR: 'seqid typeId',
  }).map(([kind, names]) => [kind, names.trim().split(/\s+/)]),
);

/** Names that PostgreSQL 14 has for some of them. */
export const earlierKinds: ReadonlyMap<string, string> = new Map([
  ['RTE', 'RANGETBLENTRY'],
  ['CASE', 'CASEEXPR'],
  ['WHEN', 'CASEWHEN'],
  ['ARRAY', 'ARRAYEXPR'],
  ['ROW', 'ROWEXPR'],
  ['ROWCOMPARE', 'ROWCOMPAREEXPR'],
  ['COALESCE', 'COALESCEEXPR'],
  ['COLLATE', 'COLLATEEXPR'],
  ['MINMAX', 'MINMAXEXPR'],
]);
