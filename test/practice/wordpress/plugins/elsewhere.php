<?php
// The site was moved, or somebody signs in at the company's own place: another host.
add_action('login_init', function () {
    wp_redirect('http://elsewhere.invalid/sign-in');
    exit;
});
