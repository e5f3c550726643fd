<?php
// Plays one scenario with php-amqplib or the extension amqp and prints what came of it as JSON.
//
// usage: php amqp-client.php SCENARIO PORT

[, $scenario, $port] = $argv;
require_once 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

const PATIENCE = 10;

function library(string $password = 'secret'): AMQPStreamConnection
{
    global $port;
    return new AMQPStreamConnection('127.0.0.1', (int) $port, 'alice', $password, '/', false, 'AMQPLAIN', null, 'en_US', PATIENCE, PATIENCE);
}

function extension(string $password = 'secret'): AMQPConnection
{
    global $port;
    $connection = new AMQPConnection(['host' => '127.0.0.1', 'port' => (int) $port, 'login' => 'alice', 'password' => $password, 'read_timeout' => PATIENCE]);
    $connection->connect();
    return $connection;
}

/** php-amqplib: work with acknowledgements, confirms and headers. */
function library_work(): array
{
    $connection = library();
    $channel = $connection->channel();
    $channel->queue_declare('php', false, true, false, false, false, new AMQPTable(['x-max-priority' => 5]));
    $channel->confirm_select();
    $acked = 0;
    $channel->set_ack_handler(function () use (&$acked) {
        $acked++;
    });
    for ($number = 0; $number < 20; $number++) {
        $message = new AMQPMessage("grüße $number", ['delivery_mode' => 2, 'content_type' => 'text/plain', 'application_headers' => new AMQPTable(['number' => $number, 'deep' => ['a' => [1, 'two', true, null]]])]);
        $channel->basic_publish($message, '', 'php');
    }
    $channel->wait_for_pending_acks(PATIENCE);
    $bodies = [];
    $headers = null;
    $channel->basic_qos(0, 5, false);
    $channel->basic_consume('php', '', false, false, false, false, function (AMQPMessage $message) use (&$bodies, &$headers) {
        $bodies[] = $message->getBody();
        $headers = $message->get('application_headers')->getNativeData();
        $message->ack();
    });
    while (count($bodies) < 20) {
        $channel->wait(null, false, PATIENCE);
    }
    $channel->close();
    $connection->close();
    return ['acked' => $acked, 'first' => $bodies[0], 'count' => count($bodies), 'headers' => $headers];
}

/** php-amqplib: a megabyte, which comes in many frames. */
function library_large(): array
{
    $channel = library()->channel();
    $channel->queue_declare('php', false, false, false, true);
    $body = str_repeat("a\0b\xff", 1 << 18);
    $channel->basic_publish(new AMQPMessage($body), '', 'php');
    $message = null;
    for ($end = microtime(true) + PATIENCE; $message === null && microtime(true) < $end;) {
        $message = $channel->basic_get('php', true);
    }
    return ['same' => $message->getBody() === $body];
}

/** php-amqplib: a procedure called from afar, answered to a queue of its own. */
function library_rpc(): array
{
    $server = library()->channel();
    $server->queue_declare('square');
    $server->basic_consume('square', '', false, true, false, false, function (AMQPMessage $request) {
        $answer = new AMQPMessage((string) ((int) $request->getBody()) ** 2, ['correlation_id' => $request->get('correlation_id')]);
        $request->getChannel()->basic_publish($answer, '', $request->get('reply_to'));
    });
    $client = library()->channel();
    [$queue] = $client->queue_declare('', false, false, true, false);
    $answer = null;
    $client->basic_consume($queue, '', false, true, false, false, function (AMQPMessage $message) use (&$answer) {
        $answer = [$message->getBody(), $message->get('correlation_id')];
    });
    $client->basic_publish(new AMQPMessage('12', ['reply_to' => $queue, 'correlation_id' => 'c']), '', 'square');
    $server->wait(null, false, PATIENCE);
    $client->wait(null, false, PATIENCE);
    return $answer;
}

/** php-amqplib: what is said of a mistake, and of a wrong password. */
function library_mistakes(): array
{
    $connection = library();
    $found = [];
    try {
        $connection->channel()->queue_declare('missing', true);
    } catch (PhpAmqpLib\Exception\AMQPProtocolChannelException $error) {
        $found['code'] = $error->getCode();
        $found['text'] = $error->getMessage();
    }
    $found['open'] = $connection->channel()->is_open();
    try {
        library('wrong');
    } catch (PhpAmqpLib\Exception\AMQPConnectionClosedException $error) {
        $found['login'] = $error->getMessage();
    } catch (PhpAmqpLib\Exception\AMQPProtocolConnectionException $error) {
        $found['login'] = $error->getMessage();
    }
    return $found;
}

/** The extension: exchanges, consuming with acknowledgements, rejecting. */
function extension_work(): array
{
    $channel = new AMQPChannel(extension());
    $channel->setPrefetchCount(2);
    $exchange = new AMQPExchange($channel);
    $exchange->setName('ext');
    $exchange->setType(AMQP_EX_TYPE_DIRECT);
    $exchange->declareExchange();
    $queue = new AMQPQueue($channel);
    $queue->setName('ext-q');
    $queue->setFlags(AMQP_DURABLE);
    $queue->declareQueue();
    $queue->bind('ext', 'key');
    $channel->confirmSelect();
    $channel->setConfirmCallback(fn() => false, fn() => false);
    for ($number = 0; $number < 5; $number++) {
        $exchange->publish("n$number", 'key', AMQP_NOPARAM, ['headers' => ['number' => $number], 'delivery_mode' => 2]);
    }
    $channel->waitForConfirm(PATIENCE);
    $bodies = [];
    $queue->consume(function (AMQPEnvelope $envelope, AMQPQueue $queue) use (&$bodies) {
        if ($envelope->getBody() === 'n2' && !$envelope->isRedelivery()) {
            $queue->nack($envelope->getDeliveryTag(), AMQP_REQUEUE);
            return true;
        }
        $bodies[] = $envelope->getBody() . ($envelope->isRedelivery() ? '!' : '') . $envelope->getHeader('number');
        $queue->ack($envelope->getDeliveryTag());
        return count($bodies) < 5;
    });
    $queue->cancel();
    sort($bodies);
    return ['bodies' => $bodies, 'left' => $queue->declareQueue()];
}

/** The extension: a transaction that is rolled back and one that is committed. */
function extension_transactions(): array
{
    $channel = new AMQPChannel(extension());
    $queue = new AMQPQueue($channel);
    $queue->setName('tx-q');
    $queue->declareQueue();
    $exchange = new AMQPExchange($channel);
    $channel->startTransaction();
    $exchange->publish('lost', 'tx-q');
    $channel->rollbackTransaction();
    $channel->startTransaction();
    $exchange->publish('kept', 'tx-q');
    $channel->commitTransaction();
    $first = $queue->get(AMQP_AUTOACK);
    $second = $queue->get(AMQP_AUTOACK);
    return [$first ? $first->getBody() : null, $second ? $second->getBody() : null];
}

/** The extension: what is said of a mistake. */
function extension_mistakes(): array
{
    $found = [];
    try {
        $queue = new AMQPQueue(new AMQPChannel(extension()));
        $queue->setName('missing');
        $queue->setFlags(AMQP_PASSIVE);
        $queue->declareQueue();
    } catch (AMQPQueueException $error) {
        $found['text'] = $error->getMessage();
    }
    try {
        extension('wrong');
    } catch (AMQPConnectionException $error) {
        $found['login'] = $error->getMessage();
    }
    return $found;
}

echo json_encode($scenario());
