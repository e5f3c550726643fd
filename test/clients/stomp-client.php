<?php
// Plays one scenario with the `stomp` extension and prints what came of it as JSON.
// usage: php stomp-client.php SCENARIO PORT

$scenario = $argv[1];
$url = "tcp://127.0.0.1:{$argv[2]}";

function open(string $url, string $user = 'alice', string $password = 'secret', array $headers = []): Stomp
{
    $stomp = new Stomp($url, $user, $password, $headers);
    $stomp->setReadTimeout(10);
    return $stomp;
}

function bodies(Stomp $stomp, int $count, bool $ack = true): array
{
    $bodies = [];
    while (count($bodies) < $count && ($frame = $stomp->readFrame()) !== false) {
        $bodies[] = $frame->body;
        if ($ack) {
            $stomp->ack($frame);
        }
    }
    return $bodies;
}

/** Sends with a receipt, which the extension waits for. */
function send(Stomp $stomp, string $destination, string $body, array $headers = []): bool
{
    static $number = 0;
    return $stomp->send($destination, $body, $headers + ['receipt' => 'r' . ++$number]);
}

$scenarios = [
    'text' => function () use ($url): array {
        $stomp = open($url);
        $stomp->subscribe('/queue/php', ['ack' => 'auto']);
        send($stomp, '/queue/php', "gr\u{fc}\u{df}e \u{1f30a}", ['wave' => "\u{1f30a}", 'content-type' => 'text/plain']);
        $frame = $stomp->readFrame();
        return ['session' => $stomp->getSessionId(), 'body' => $frame->body, 'headers' => $frame->headers];
    },
    'bytes' => function () use ($url): array {
        $stomp = open($url);
        $sent = "a\0b\0\xff\n";
        send($stomp, '/queue/php', $sent, ['content-length' => (string) strlen($sent)]);
        $big = str_repeat("0123456789abcde\0", 1 << 16);
        send($stomp, '/queue/php', $big, ['content-length' => (string) strlen($big)]);
        $stomp->subscribe('/queue/php', ['ack' => 'client']);
        [$small, $large] = bodies($stomp, 2);
        return ['small' => bin2hex($small), 'large' => $large === $big];
    },
    'receipts-and-messages' => function () use ($url): array {
        $stomp = open($url);
        $stomp->subscribe('/queue/php', ['ack' => 'auto']);
        $equal = 0;
        for ($i = 0; $i < 20; $i++) {
            $sent = str_repeat("0123456789abcde\0", $i % 2 === 1 ? 1 << 14 : 20);
            send($stomp, '/queue/php', $sent, ['content-length' => (string) strlen($sent)]);
            $equal += $stomp->readFrame()->body === $sent ? 1 : 0;
        }
        return ['equal' => $equal];
    },
    'ack' => function () use ($url): array {
        $stomp = open($url);
        foreach (['1', '2', '3'] as $body) {
            send($stomp, '/queue/php', $body);
        }
        $stomp->subscribe('/queue/php', ['ack' => 'client-individual']);
        $frames = [$stomp->readFrame(), $stomp->readFrame(), $stomp->readFrame()];
        $acked = $stomp->ack($frames[1], ['receipt' => 'acked']);
        unset($stomp);
        $again = open($url);
        $again->subscribe('/queue/php', ['ack' => 'client']);
        $first = $again->readFrame();
        $second = $again->readFrame();
        $again->ack($second, ['receipt' => 'both']);
        return [
            'acked' => $acked,
            'again' => [$first->body, $second->body],
            'redelivered' => $first->headers['redelivered'] ?? null,
        ];
    },
    'transactions' => function () use ($url): array {
        $stomp = open($url);
        $stomp->begin('dropped');
        send($stomp, '/queue/php', 'dropped', ['transaction' => 'dropped']);
        $stomp->abort('dropped', ['receipt' => 'aborted']);
        $stomp->begin('kept');
        send($stomp, '/queue/php', 'kept', ['transaction' => 'kept']);
        send($stomp, '/queue/php', 'outside');
        $stomp->commit('kept', ['receipt' => 'committed']);
        $stomp->subscribe('/queue/php', ['ack' => 'client']);
        return ['bodies' => bodies($stomp, 2)];
    },
    'wildcard' => function () use ($url): array {
        $stomp = open($url);
        foreach (['a.b', 'b.b', 'a.c'] as $name) {
            send($stomp, "/queue/$name", $name);
        }
        $stomp->subscribe('/queue/a.*', ['ack' => 'client']);
        $bodies = bodies($stomp, 2);
        sort($bodies);
        return ['bodies' => $bodies];
    },
    'durable' => function () use ($url): array {
        $headers = ['ack' => 'client', 'id' => 'php', 'persistent' => 'true', 'receipt' => 'subscribed'];
        $first = open($url);
        $first->subscribe('/topic/news', $headers);
        unset($first);
        $sender = open($url);
        send($sender, '/topic/news', 'meanwhile');
        $second = open($url);
        $second->subscribe('/topic/news', $headers);
        return ['bodies' => bodies($second, 1)];
    },
    'browse' => function () use ($url): array {
        $stomp = open($url);
        foreach (['1', '2', '3'] as $body) {
            send($stomp, '/queue/php', $body);
        }
        $stomp->subscribe('/queue/php', ['ack' => 'auto', 'browser' => 'true', 'include-seq' => 'seq']);
        $seen = [];
        while (($frame = $stomp->readFrame()) !== false && ($frame->headers['browser'] ?? '') !== 'end') {
            $seen[$frame->headers['seq']] = $frame->body;
        }
        return ['seen' => $seen, 'end' => $frame->headers['browser'] ?? null];
    },
    'dead-letters-by-nack' => function () use ($url): array {
        // Without the version it speaks 1.0, which has no NACK.
        $stomp = open($url, 'alice', 'secret', ['accept-version' => '1.1', 'host' => 'localhost']);
        send($stomp, '/queue/php', 'bad');
        $stomp->subscribe('/queue/php', ['ack' => 'client-individual', 'id' => 'work']);
        $redelivered = [];
        for ($i = 0; $i < 2; $i++) {
            $frame = $stomp->readFrame();
            $redelivered[] = $frame->headers['redelivered'] ?? 'false';
            $stomp->nack($frame, ['subscription' => 'work', 'receipt' => "refused-$i"]);
        }
        $stomp->subscribe('/queue/dlq.php', ['ack' => 'auto', 'id' => 'dead']);
        $dead = $stomp->readFrame();
        return ['redelivered' => $redelivered, 'body' => $dead->body, 'headers' => $dead->headers];
    },
    'dead-letters-by-leaving' => function () use ($url): array {
        $sender = open($url);
        send($sender, '/queue/php', 'bad');
        for ($i = 0; $i < 2; $i++) {
            $stomp = open($url);
            $stomp->subscribe('/queue/php', ['ack' => 'client-individual']);
            $stomp->readFrame();
            unset($stomp);
        }
        $sender->subscribe('/queue/dlq.php', ['ack' => 'auto']);
        $dead = $sender->readFrame();
        return ['body' => $dead->body, 'headers' => $dead->headers];
    },
    'wrong-password' => function () use ($url): array {
        try {
            open($url, 'alice', 'guess');
        } catch (StompException $refused) {
            return ['error' => $refused->getMessage(), 'details' => $refused->getDetails()];
        }
        return ['error' => null];
    },
    'wrong-destination' => function () use ($url): array {
        $stomp = open($url);
        try {
            $sent = send($stomp, '/nowhere/a', 'x');
        } catch (StompException $refused) {
            return ['error' => $refused->getMessage()];
        }
        return ['error' => $sent ? null : $stomp->error()];
    },
];

echo json_encode($scenarios[$scenario]());
