// dockerode, the client of Node: containers, streams, exec, images, builds, networks, volumes, events.
'use strict';
const assert = require('node:assert');
const { PassThrough } = require('node:stream');
const test = require('node:test');
const Docker = require('dockerode');
const tar = require('tar-stream');

const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace('unix://', '') });
const image = 'busybox:latest';
const name = () => 't-' + Math.random().toString(36).slice(2, 10);
const collect = (stream) => new Promise((resolve, reject) => {
    const parts = [];
    stream.on('data', (d) => parts.push(d)).on('error', reject).on('end', () => resolve(Buffer.concat(parts).toString()));
});
const progress = (stream) => new Promise((resolve, reject) => docker.modem.followProgress(stream, (e, all) => e ? reject(e) : resolve(all)));
function archive(files) {
    const pack = tar.pack();
    for (const [path, text] of Object.entries(files)) pack.entry({ name: path }, text);
    pack.finalize();
    return pack;
}

test('system', async () => {
    assert.equal((await docker.ping()).toString(), 'OK');
    assert.equal((await docker.version()).ApiVersion, '1.51');
    assert.equal((await docker.info()).OSType, 'linux');
    assert.ok((await docker.df()).Images.length > 0);
});

test('run, with both streams apart', async () => {
    const out = new PassThrough(), err = new PassThrough();
    const texts = Promise.all([collect(out), collect(err)]);
    const [result, container] = await docker.run(image, ['sh', '-c', 'echo out; echo err >&2; exit 3'], [out, err], { Tty: false });
    out.end(); err.end();
    assert.equal(result.StatusCode, 3);
    assert.deepEqual(await texts, ['out\n', 'err\n']);
    await container.remove();
});

test('a life', async () => {
    const c = await docker.createContainer({ Image: image, name: name(), Cmd: ['cat'], OpenStdin: true, StdinOnce: true, AttachStdin: true });
    const stream = await c.attach({ stream: true, stdin: true, stdout: true, hijack: true });
    const out = new PassThrough(), got = collect(out);
    c.modem.demuxStream(stream, out, new PassThrough());
    stream.on('end', () => out.end());
    await c.start();
    stream.write('through\n');
    stream.end();
    assert.equal((await c.wait()).StatusCode, 0);
    assert.equal(await got, 'through\n');
    assert.equal((await c.inspect()).State.Status, 'exited');
    await c.rename({ name: name() });
    await c.remove();
    await assert.rejects(c.inspect(), (e) => e.statusCode === 404 && e.reason === 'no such container');
});

test('a running container: exec, files, stats, top, logs, pause, update, stop', async () => {
    const c = await docker.createContainer({ Image: image, Cmd: ['sh', '-c', 'echo up; trap exit TERM; while :; do sleep 1 & wait; done'] });
    await c.start();
    const exec = await c.exec({ Cmd: ['sh', '-c', 'cat; exit 5'], AttachStdin: true, AttachStdout: true });
    const stream = await exec.start({ hijack: true, stdin: true });
    const out = new PassThrough(), got = collect(out);
    docker.modem.demuxStream(stream, out, new PassThrough());
    stream.on('end', () => out.end());
    stream.end('in\n');
    assert.equal(await got, 'in\n');
    assert.equal((await exec.inspect()).ExitCode, 5);
    await c.putArchive(archive({ file: 'text' }), { path: '/tmp' });
    assert.match(await collect(await c.getArchive({ path: '/tmp/file' })), /text/);
    assert.ok((await c.changes()).some((x) => x.Path === '/tmp/file'));
    assert.ok((await c.stats({ stream: false })).pids_stats.current >= 1);
    assert.ok((await c.top()).Processes.length >= 1);
    assert.match((await c.logs({ stdout: true })).toString(), /up\n$/);
    await c.pause();
    await c.unpause();
    await c.update({ Memory: 64 << 20, MemorySwap: 128 << 20 });
    assert.equal((await c.inspect()).HostConfig.Memory, 64 << 20);
    await c.stop({ t: 5 });
    await assert.rejects(c.stop(), (e) => e.statusCode === 304);
    await c.remove();
});

test('images and builds', async () => {
    const tag = name();
    const steps = await progress(await docker.buildImage(archive({ Dockerfile: 'FROM busybox\nRUN echo built >/x\nCMD cat /x\n' }), { t: tag }));
    assert.ok(steps.some((s) => /Successfully built/.test(s.stream)), JSON.stringify(steps));
    const out = new PassThrough(), got = collect(out);
    const [, c] = await docker.run(tag, [], out, { Tty: true });
    out.end();
    assert.equal(await got, 'built\r\n');
    await c.remove();
    await docker.getImage(tag).tag({ repo: tag, tag: 'two' });
    assert.ok((await docker.listImages()).some((i) => i.RepoTags.includes(`${tag}:two`)));
    assert.ok((await docker.getImage(tag).history()).length > 1);
    await docker.getImage(`${tag}:two`).remove();
    await docker.getImage(tag).remove({ force: true });
});

test('networks and volumes', async () => {
    const net = await docker.createNetwork({ Name: name() });
    const c = await docker.createContainer({ Image: image, Cmd: ['sleep', '100'] });
    await c.start();
    await net.connect({ Container: c.id });
    assert.ok((await net.inspect()).Containers[c.id]);
    await net.disconnect({ Container: c.id });
    await net.remove();
    const v = await docker.createVolume({ Name: name() });
    assert.equal((await docker.getVolume(v.name ?? v.Name).inspect()).Driver, 'local');
    await docker.getVolume(v.name ?? v.Name).remove();
    await c.remove({ force: true });
});

test('events', async () => {
    const stream = await docker.getEvents({ filters: { type: ['container'] } });
    const c = await docker.createContainer({ Image: image, Cmd: ['true'] });
    await c.start();
    const seen = [];
    for await (const chunk of stream) {
        for (const line of chunk.toString().split('\n').filter(Boolean)) {
            const event = JSON.parse(line);
            if (event.Actor.ID === c.id) seen.push(event.Action);
        }
        if (seen.includes('die')) break;
    }
    assert.deepEqual(seen.slice(0, 2), ['create', 'start']);
    await c.remove();
});
