"""The control connection both programs share: TCP and TLS, around the sans-IO messages of `protocol.rtsp`."""
