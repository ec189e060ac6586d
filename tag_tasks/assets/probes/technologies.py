"""The technologies that are known, by what they show to visitors: a name (`_` is a space) and a regular expression in
each line.

`<version>` is a version right behind a name, `<file>` what follows the name in that of a script's file, and `<number>`
a directory that is a version.
"""

from __future__ import annotations

PARTS = {
    "<version>": r"(?:[/ :-]?v?(?P<version>[0-9]{1,4}(?:\.[0-9]{1,8}){0,3}(?:[-.]?(?:rc|beta|alpha|p|M)[0-9]{0,3})?))",
    "<number>": r"(?P<version>[0-9]{1,2}(?:\.[0-9]{1,3}){1,2})",
    "<file>": (
        r"(?:[.-](?P<version>[0-9]{1,3}(?:\.[0-9]{1,4}){1,3}))?"
        r"(?:[.-](?:slim|min|production|prod|global|runtime|esm))*+\.js(?:\?|$)"
    ),
}

SERVER = r"""
nginx ^nginx<version>?
OpenResty ^openresty<version>?
Tengine ^tengine<version>?
Apache ^apache<version>?(?!-coyote)
Apache_Tomcat ^apache-coyote|^apache-tomcat<version>?
Microsoft_IIS ^microsoft-iis<version>?
Microsoft_HTTPAPI ^microsoft-httpapi<version>?
LiteSpeed ^litespeed
Caddy ^caddy
lighttpd ^lighttpd<version>?
Jetty ^jetty\(?<version>?
Gunicorn ^gunicorn<version>?
uvicorn ^uvicorn
Werkzeug ^werkzeug<version>?
Python python<version>
Tornado ^tornadoserver<version>?
Kestrel ^kestrel
Cowboy ^cowboy
Envoy ^envoy
HAProxy ^haproxy
Cloudflare ^cloudflare
Varnish ^varnish
WebLogic ^weblogic
WebSphere ^websphere
MinIO ^minio
OpenSSL openssl<version>
PHP php<version>
"""
"""Of the header Server."""

POWERED = r"""
PHP ^php<version>?
ASP.NET ^asp\.net
Express ^express
Next.js ^next\.js<version>?
Servlet ^servlet<version>?
JSP ^jsp<version>?
Phusion_Passenger ^phusion passenger.{0,20}?<version>?
ThinkPHP ^thinkphp
"""
"""Of the header X-Powered-By."""

HEADER = r"""
ASP.NET ^x-aspnet-version: ?<version>?
ASP.NET_MVC ^x-aspnetmvc-version: ?<version>?
Jenkins ^x-jenkins: ?<version>?
Drupal ^x-drupal-|^x-generator: drupal<version>?
Varnish ^x-varnish:
Spring_Boot ^x-application-context:
Grafana ^x-grafana-
Elasticsearch ^x-elastic-product: elasticsearch
Kibana ^kbn-(?:name|version: ?<version>?)
GitLab ^x-gitlab-
Shopify ^x-shopid:
WordPress ^link: .{0,200}/wp-json/|^x-pingback: .{0,200}/xmlrpc\.php
Docker_Registry ^docker-distribution-api-version:
InfluxDB ^x-influxdb-version: ?<version>?
Kong ^via:.{0,40}\bkong<version>?
Magento ^x-magento-
Nextcloud ^x-nextcloud-
"""
"""Of all others, as `name: value`."""

COOKIE = r"""
PHP ^phpsessid$
Java ^jsessionid$
ASP.NET ^asp\.net_sessionid$|^\.aspnetcore\.
ASP ^aspsessionid
Laravel ^laravel_session$
Django ^csrftoken$|^django_
Express ^connect\.sid$
CodeIgniter ^ci_session$
CakePHP ^cakephp$
WordPress ^wordpress_|^wp-settings
Drupal ^ss?ess[0-9a-f]{32}$
Grafana ^grafana_session$
GitLab ^_gitlab_session$
Rails ^_[a-z0-9_]{1,40}_session$
Jenkins ^jsessionid\.[0-9a-f]{6,8}$
Shiro ^rememberme$
F5_BIG-IP ^bigipserver
"""
"""Of the names of cookies."""

GENERATOR = r"""
WordPress ^wordpress<version>?
Drupal ^drupal<version>?
Joomla ^joomla
TYPO3 ^typo3(?: cms)?<version>?
Hugo ^hugo<version>?
Jekyll ^jekyll<version>?
Ghost ^ghost<version>?
MediaWiki ^mediawiki<version>?
Discuz! ^discuz! ?x?<version>?
Wix ^wix
PrestaShop ^prestashop
Docusaurus ^docusaurus<version>?
Hexo ^hexo<version>?
VitePress ^vitepress<version>?
"""
"""Of what the page says that it was generated with."""

SCRIPT = r"""
jQuery /jquery<file>
jQuery_UI /jquery[.-]ui<file>
Bootstrap /bootstrap(?:\.bundle)?<file>
React /react(?:-dom)?<file>
Vue.js /vue<file>
AngularJS /angular<file>
Lodash /lodash<file>
Moment.js /moment<file>
D3 /d3<file>
ECharts /echarts<file>
Layui /layui<file>
jQuery /jquery/<number>/
Vue.js /vue[@/]<number>/
React /react(?:-dom)?[@/]<number>/
Bootstrap /bootstrap[@/]<number>/
WordPress /wp-(?:content|includes)/
Drupal /core/misc/drupal\.js|/sites/(?:all|default)/
Joomla /media/(?:jui|system)/js/
Next.js /_next/static/
Nuxt /_nuxt/
Gatsby /page-data/app-data\.json|/gatsby-
Google_Analytics ^https?://www\.google-analytics\.com/|^https?://www\.googletagmanager\.com/
"""
"""Of the URLs of scripts and styles."""

TITLE = r"""
Apache_Tomcat ^apache tomcat<version>?
Grafana ^grafana$
Kibana ^(?:kibana|elastic)$
Jenkins (?:\[jenkins\]|^dashboard \[jenkins|^sign in.{0,20}jenkins)
GitLab \bgitlab$
phpMyAdmin ^phpmyadmin
Prometheus ^prometheus\b
SonarQube ^sonarqube$
Harbor ^harbor$
RabbitMQ ^rabbitmq management$
MinIO ^minio (?:console|browser)$
Nacos ^nacos$
Swagger_UI ^swagger ui$
Zabbix \bzabbix$
Jira \bjira$
Confluence \bconfluence$
nginx ^welcome to nginx!$
Microsoft_IIS ^iis windows(?: server)?$
"""

BODY = r"""
Spring_Boot Whitelabel Error Page
React data-reactroot
React __REACT_DEVTOOLS_GLOBAL_HOOK__
Angular ng-version="
Vue.js data-v-app
Nuxt window.__NUXT__
Next.js id="__NEXT_DATA__"
Django name="csrfmiddlewaretoken"
Rails name="csrf-param" content="authenticity_token"
ASP.NET name="__VIEWSTATE"
Elasticsearch "You Know, for Search"
Shopify cdn.shopify.com/
Laravel window.Laravel
"""
"""Of the beginning of the page; plain texts, as they stand there."""
