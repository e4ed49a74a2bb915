#!/usr/bin/env bash
# Makes the certificates and keys that the tests of TLS need, new each time, so that none lies about and none grows old.
# Usage: certificates.sh DIRECTORY [ADDRESS...]   the receivers' certificates are for larm.example.se, localhost and
# these addresses.
#
#   ca other-ca                   authorities, NAME.pem and NAME.key
#   server renewed                a receiver's, and the one that takes its place
#   soon                          the same, and expires in 20 days
#   expired                       the same, and expired yesterday
#   elsewhere                     for another host
#   nameless                      without a subject alternative name
#   stranger                      for the right host, issued by other-ca
#   alone                         for the right host, issued by itself
#   client client-soon            ours, and one that expires in 20 days
#   client-stranger               issued by other-ca
#   old-style                     RSA, issued by ca
set -euo pipefail
cd "$1"
shift
names="DNS:larm.example.se,DNS:localhost"
for address in "$@"; do names="$names,IP:$address"; done

curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256"
authority() { # NAME
    openssl req -x509 $curve -nodes -keyout "$1.key" -out "$1.pem" -subj "/CN=$1" -days 3650
}
issue() { # NAME AUTHORITY DAYS SUBJECT_ALTERNATIVE_NAMES [KEY]
    # shellcheck disable=SC2086
    openssl req -new ${5:-$curve} -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" ${4:+-addext "subjectAltName=$4"}
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days "$3" -copy_extensions copy -out "$1.pem"
    rm "$1.csr"
}
{
    authority ca
    authority other-ca
    issue server ca 365 "$names"
    issue renewed ca 730 "$names"
    issue soon ca 20 "$names"
    issue expired ca -1 "$names"
    issue elsewhere ca 365 "DNS:larm.example.org"
    issue nameless ca 365 ""
    issue stranger other-ca 365 "$names"
    issue client ca 365 ""
    issue client-soon ca 20 ""
    issue client-stranger other-ca 365 ""
    issue old-style ca 365 "$names" "-newkey rsa:2048"
    openssl req -x509 $curve -nodes -keyout alone.key -out alone.pem -subj "/CN=alone" -days 365 \
        -addext "subjectAltName=$names"
    cat server.pem renewed.pem > both.pem
    cat soon.pem renewed.pem > soon-or-renewed.pem
    openssl pkcs8 -topk8 -in client.key -passout pass:Sesam -out locked.key
    chmod 600 ./*.key
} 2> openssl.log || { cat openssl.log >&2; exit 1; }
