// Everyday work with the official Node client. Arguments: address, file of root's password, for TLS the authority's file, and for
// mutual TLS the client's certificate and key.
const assert = require('assert');
const fs = require('fs');
const { MilvusClient, DataType, MetricType, FunctionType, RRFRanker } = require('@zilliz/milvus2-sdk-node');

const [address, passwordFile, rootCertPath, certChainPath, privateKeyPath] = process.argv.slice(2);
const password = fs.readFileSync(passwordFile, 'utf8');
const connect = (username, password, options = {}) =>
  new MilvusClient({
    address,
    username,
    password,
    ...(rootCertPath ? { ssl: true, tls: { rootCertPath, certChainPath, privateKeyPath } } : {}),
    ...options,
  });

const succeeded = (answer, what) => {
  const status = answer.status || answer;
  assert.strictEqual(status.error_code, 'Success', `${what}: ${JSON.stringify(status)}`);
  return answer;
};

// A failure is a rejection, or an answer whose status is not Success.
const fails = async (work, words) => {
  let text;
  try {
    const answer = await work();
    const status = answer.status || answer;
    text = status.error_code === 'Success' ? undefined : JSON.stringify(status);
  } catch (error) {
    text = String(error);
  }
  assert(text && text.includes(words), `should have failed with ${words}: ${text}`);
};

const main = async () => {
  const done = [];
  const c = connect('root', password);
  await c.connectPromise;
  const step = async (name, work) => {
    await work();
    done.push(name);
  };

  await step('collection', async () => {
    succeeded(
      await c.createCollection({
        collection_name: 'notes',
        fields: [
          { name: 'id', data_type: DataType.Int64, is_primary_key: true },
          { name: 'text', data_type: DataType.VarChar, max_length: 200, enable_analyzer: true, enable_match: true },
          { name: 'dense', data_type: DataType.FloatVector, dim: 4 },
          { name: 'words', data_type: DataType.SparseFloatVector },
        ],
        functions: [
          { name: 'bm25', type: FunctionType.BM25, input_field_names: ['text'], output_field_names: ['words'], params: {} },
        ],
        index_params: [
          { field_name: 'dense', index_type: 'HNSW', metric_type: MetricType.COSINE, params: { M: 8, efConstruction: 64 } },
          { field_name: 'words', index_type: 'SPARSE_INVERTED_INDEX', metric_type: MetricType.BM25 },
        ],
        enable_dynamic_field: true,
      }),
      'create'
    );
    succeeded(await c.loadCollectionSync({ collection_name: 'notes' }), 'load');
    assert((await c.hasCollection({ collection_name: 'notes' })).value);
    const described = succeeded(await c.describeCollection({ collection_name: 'notes' }), 'describe');
    assert.strictEqual(described.schema.fields.length, 4);
  });

  await step('rows', async () => {
    const data = [...Array(50).keys()].map((i) => ({ id: i, text: `note number ${i}`, dense: [i, 1, 2, 3], n: i }));
    const inserted = succeeded(await c.insert({ collection_name: 'notes', data }), 'insert');
    assert.strictEqual(Number(inserted.insert_cnt), 50);
    const upserted = succeeded(
      await c.upsert({ collection_name: 'notes', data: [{ id: 7, text: 'changed', dense: [0, 0, 0, 1], n: 700 }] }),
      'upsert'
    );
    assert.strictEqual(Number(upserted.upsert_cnt), 1);
    const deleted = succeeded(await c.delete({ collection_name: 'notes', ids: [1, 2] }), 'delete');
    assert.strictEqual(Number(deleted.delete_cnt), 2);
    succeeded(await c.delete({ collection_name: 'notes', filter: 'n in [3, 4]' }), 'delete by filter');
    const counted = succeeded(await c.count({ collection_name: 'notes' }), 'count');
    assert.strictEqual(Number(counted.data), 46);
    const got = succeeded(await c.get({ collection_name: 'notes', ids: [7], output_fields: ['text', 'n'] }), 'get');
    assert.strictEqual(got.data[0].text, 'changed');
    // This client leaves the dynamic fields of a query together.
    assert.strictEqual(got.data[0].$meta.n, 700);
    const queried = succeeded(
      await c.query({ collection_name: 'notes', filter: 'n < 10', output_fields: ['n'], limit: 100 }),
      'query'
    );
    assert.strictEqual(queried.data.length, 5);
    succeeded(await c.flushSync({ collection_names: ['notes'] }), 'flush');
  });

  await step('search', async () => {
    const found = succeeded(
      await c.search({
        collection_name: 'notes',
        anns_field: 'dense',
        data: [0, 0, 0, 1],
        limit: 3,
        filter: 'id < 20',
        output_fields: ['text'],
      }),
      'search'
    );
    assert.strictEqual(found.results.length, 3);
    assert.strictEqual(found.results[0].text, 'changed');
    const many = succeeded(
      await c.search({ collection_name: 'notes', anns_field: 'dense', data: [[0, 0, 0, 1], [9, 1, 2, 3]], limit: 2 }),
      'search of two'
    );
    assert.strictEqual(many.results.length, 2);
    const words = succeeded(
      await c.search({ collection_name: 'notes', anns_field: 'words', data: 'changed', limit: 3, output_fields: ['text'] }),
      'full text'
    );
    assert.deepStrictEqual(words.results.map((hit) => hit.text), ['changed']);
    const hybrid = succeeded(
      await c.search({
        collection_name: 'notes',
        data: [
          { anns_field: 'dense', data: [9, 1, 2, 3], params: {} },
          { anns_field: 'words', data: 'changed', params: {} },
        ],
        rerank: RRFRanker(),
        limit: 5,
        output_fields: ['text'],
      }),
      'hybrid search'
    );
    assert(hybrid.results.some((hit) => hit.text === 'changed'), JSON.stringify(hybrid.results));
  });

  await step('iterators', async () => {
    const ids = new Set();
    for await (const page of await c.queryIterator({ collection_name: 'notes', filter: 'id >= 0', batchSize: 9, output_fields: ['n'] })) {
      page.forEach((row) => ids.add(String(row.id)));
    }
    assert.strictEqual(ids.size, 46);
    const hits = new Set();
    // This client gives the id only when it is asked for.
    const search = { collection_name: 'notes', anns_field: 'dense', data: [9, 1, 2, 3], batchSize: 7, limit: 20, output_fields: ['id'] };
    for await (const page of await c.searchIterator(search)) {
      page.forEach((hit) => hits.add(String(hit.id)));
    }
    assert.strictEqual(hits.size, 20);
  });

  await step('administration', async () => {
    succeeded(await c.createPartition({ collection_name: 'notes', partition_name: 'p1' }), 'create partition');
    assert((await c.hasPartition({ collection_name: 'notes', partition_name: 'p1' })).value);
    succeeded(await c.createAlias({ collection_name: 'notes', alias: 'al' }), 'create alias');
    assert.strictEqual((await c.describeAlias({ collection_name: 'notes', alias: 'al' })).collection, 'notes');
    succeeded(await c.dropAlias({ alias: 'al' }), 'drop alias');
    const index = succeeded(await c.describeIndex({ collection_name: 'notes', field_name: 'dense' }), 'describe index');
    assert.strictEqual(index.index_descriptions.length, 1);
    succeeded(await c.releaseCollection({ collection_name: 'notes' }), 'release');
    assert.strictEqual((await c.getLoadState({ collection_name: 'notes' })).state, 'LoadStateNotLoad');
    await fails(() => c.query({ collection_name: 'notes', filter: 'id > 0', limit: 1 }), 'not loaded');
    succeeded(await c.createDatabase({ db_name: 'node_sales' }), 'create database');
    assert((await c.listDatabases()).db_names.includes('node_sales'));
    const other = connect('root', password, { database: 'node_sales' });
    assert.deepStrictEqual((await other.showCollections()).data, []);
    await other.closeConnection();
    succeeded(await c.dropDatabase({ db_name: 'node_sales' }), 'drop database');
  });

  await step('users', async () => {
    succeeded(await c.createUser({ username: 'node_user', password: 'secret-of-node' }), 'create user');
    assert((await c.listUsers()).usernames.includes('node_user'));
    succeeded(await c.createRole({ roleName: 'node_role' }), 'create role');
    succeeded(await c.addUserToRole({ username: 'node_user', roleName: 'node_role' }), 'grant role');
    const user = connect('node_user', 'secret-of-node');
    await fails(() => user.loadCollectionAsync({ collection_name: 'notes' }), 'permission deny to node_user');
    succeeded(
      await c.grantPrivilege({ roleName: 'node_role', object: 'Collection', objectName: 'notes', privilegeName: 'Load' }),
      'grant'
    );
    succeeded(await user.loadCollectionAsync({ collection_name: 'notes' }), 'load by user');
    const grants = await c.listGrants({ roleName: 'node_role' });
    assert.strictEqual(grants.entities[0].grantor.privilege.name, 'Load');
    succeeded(
      await c.updateUser({ username: 'node_user', oldPassword: 'secret-of-node', newPassword: 'another-secret' }),
      'update user'
    );
    await fails(() => user.loadCollectionAsync({ collection_name: 'notes' }), 'auth check failure');
    await user.closeConnection();
    succeeded(
      await c.revokePrivilege({ roleName: 'node_role', object: 'Collection', objectName: 'notes', privilegeName: 'Load' }),
      'revoke'
    );
    succeeded(await c.dropRole({ roleName: 'node_role' }), 'drop role');
    succeeded(await c.deleteUser({ username: 'node_user' }), 'delete user');
  });

  await fails(() => c.describeCollection({ collection_name: 'nope' }), "can't find collection");
  succeeded(await c.dropCollection({ collection_name: 'notes' }), 'drop');
  await c.closeConnection();
  console.log(JSON.stringify(done));
};

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  }
);
