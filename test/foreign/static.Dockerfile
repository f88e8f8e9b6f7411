# One static binary and one page, and nothing else: no shell, no libc, no /etc/passwd.
ARG BASE
FROM ${BASE} AS tools
RUN mkdir /www && echo "a page from an empty image" > /www/index.html

FROM scratch
COPY --from=tools /bin/busybox /busybox
COPY --from=tools /www /www
LABEL dev.devmesh.image="foreign-static"
USER 65534:65534
EXPOSE 8080
ENTRYPOINT ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
