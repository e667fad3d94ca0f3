#!/usr/bin/perl
# A stand-in for testcontainers' reaper (ryuk), over the socket that is mounted into its container: it takes filters
# (`label=a=b&label=c`, a line each, answered ACK) at port 8080, and once the last connection has been gone for
# RYUK_RECONNECTION_TIMEOUT removes the containers, networks, volumes and images that they name, and ends.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

$| = 1;
my ($patience) = ($ENV{RYUK_RECONNECTION_TIMEOUT} // '10s') =~ /(\d+)/;
my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 8, ReuseAddr => 1) or die "listen: $!";
print "reaper Started!\n";
my $select = IO::Select->new($listener);
my (%filters, %rest);
while (1) {
    my $open = $select->count > 1;
    my @ready = $select->can_read($open ? undef : $patience * (%filters ? 1 : 6)) or last;
    for my $one (@ready) {
        if ($one == $listener) { $select->add($listener->accept); next; }
        my $n = sysread $one, my $said, 4096;
        if (!$n) { $select->remove($one); close $one; next; }
        $rest{$one} .= $said;
        while ($rest{$one} =~ s/^(.*?)\r?\n//) { $filters{$1} = 1; syswrite $one, "ACK\n"; }
    }
}

sub api {
    my ($method, $path) = @_;
    my $to = IO::Socket::UNIX->new('/var/run/docker.sock') or die "the socket: $!";
    print $to "$method /v1.41$path HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n";
    $to->flush;
    my $answer = do { local $/; <$to> };
    print "$method $path: ", $answer =~ /^HTTP\S+ (\d+)/, "\n";
    return $answer;
}
sub quoted { my ($text) = @_; $text =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ge; return $text; }

for my $filter (keys %filters) {
    my @labels = map { /^label=(.*)/ ? qq("$1":true) : () } split /&/, $filter;
    my $labels = '"label":{' . join(',', @labels) . '}';
    my $of = quoted "{$labels}";
    my @ids = api('GET', "/containers/json?all=1&filters=$of") =~ /"Id":"([0-9a-f]{64})"/g;
    api('DELETE', "/containers/$_?force=1&v=1") for @ids;
    api('POST', "/networks/prune?filters=$of");
    api('POST', '/volumes/prune?filters=' . quoted qq({$labels,"all":{"true":true}}));
    api('POST', '/images/prune?filters=' . quoted qq({$labels,"dangling":{"false":true}}));
}
print "reaped\n";
