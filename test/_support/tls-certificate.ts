/**
 * A certificate for 127.0.0.1 and localhost that signs itself, valid until 2126, and its key: worth
 * nothing outside of tests. Made with
 * `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=leastwise test" -addext "subjectAltName=IP:127.0.0.1,DNS:localhost"`.
 */
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBpTCCAUugAwIBAgIUA4bY6I6GcUV11hQdCRhUxCLO2kUwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwObGVhc3R3aXNlIHRlc3QwIBcNMjYxMTIyMTgzNjAwWhgPMjEy
NjEwMjkxODM2MDBaMBkxFzAVBgNVBAMMDmxlYXN0d2lzZSB0ZXN0MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEgaE5iEvzCzzC8mtKEaKPg4VrhBFmIuZBfAT6r0na
Y04XNUgW6N58EQM79iGvhKhK9l+xNObhKLtZdRJEwsNiiaNvMG0wHQYDVR0OBBYE
FNc1HR2F3PaVFw+E9oWepdBgV+mwMB8GA1UdIwQYMBaAFNc1HR2F3PaVFw+E9oWe
pdBgV+mwMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYcEfwAAAYIJbG9jYWxo
b3N0MAoGCCqGSM49BAMCA0gAMEUCIQDW48kH/VSVoKWjfrInQgqY+6y7wg20Kmkk
k+/R8dm7vAIgRZaHMiShImvwuDoNSrlAAZTp1EHbJIqJzZuvIrI879I=
-----END CERTIFICATE-----
`;

export const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgY6AZqOXnBEr+4v3V
VCOLqpaVcIYykI9rZ59TfmrYdumhRANCAASBoTmIS/MLPMLya0oRoo+DhWuEEWYi
5kF8BPqvSdpjThc1SBbo3nwRAzv2Ia+EqEr2X7E05uEou1l1EkTCw2KJ
-----END PRIVATE KEY-----
`;
